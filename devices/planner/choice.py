"""Which options fit the limits, which are on the Pareto front, and which one to choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...runtime.engines import ENGINES, PRECISIONS
from .report import Limits, Option

_EQUAL = 1.01  # figures closer than this are the same: files of two engines differ by some bytes


def judged(option: Option, limits: Limits) -> Option:
    """Returns an option with the reasons why it does not fit, and where it may not."""
    figures = [
        ("time", option.seconds, limits.seconds, shown_seconds),
        ("memory", option.memory, limits.memory, shown_bytes),
    ]
    exclusions: list[str] = []
    doubts: list[str] = []
    for what, figure, limit, shown in figures:
        if limit is None:
            continue
        if figure.low > limit:
            exclusions.append(f"{what}: at best {shown(figure.low)}, the limit is {shown(limit)}")
        elif figure.predicted > limit:
            best = f"{shown(figure.predicted)} predicted (at best {shown(figure.low)})"
            exclusions.append(f"{what}: {best}, the limit is {shown(limit)}")
        elif figure.high > limit:
            doubts.append(f"{what}: at worst {shown(figure.high)}, the limit is {shown(limit)}")
    return replace(option, exclusions=tuple(exclusions), doubts=tuple(doubts))


def with_front(options: Sequence[Option]) -> tuple[Option, ...]:
    """Returns the options with the Pareto front marked, among those that fit: time, memory and accuracy."""
    fitting = [option for option in options if not option.exclusions]
    return tuple(
        replace(
            option,
            on_front=not option.exclusions and not any(_dominates(other, option) for other in fitting),
        )
        for option in options
    )


def _dominates(one: Option, other: Option) -> bool:
    """Whether an option is at least as good as another in everything, and better in something."""
    accuracy = _more_accurate(one, other)
    pairs = list(zip(_costs(one), _costs(other), strict=True))
    if accuracy is None or accuracy < 0 or any(a > _EQUAL * b for a, b in pairs):
        return False
    return accuracy > 0 or any(b > _EQUAL * a for a, b in pairs)


def _costs(option: Option) -> tuple[float, float]:
    return option.seconds.predicted, option.memory.predicted


def _more_accurate(one: Option, other: Option) -> float | None:
    """Returns a positive number where an option is more accurate, 0 where equally; None where nobody knows.

    Dice decides where it was measured of both, at one overlap; else only options of one model can be compared: those
    that are more exact and overlap more are not worse.
    """
    overlap = one.overlap - other.overlap
    if one.dice is not None and other.dice is not None and one.model != other.model:
        return one.dice - other.dice if overlap >= 0 else None
    if one.model != other.model:
        return None
    exactness = PRECISIONS.index(other.precision) - PRECISIONS.index(one.precision)
    return None if overlap * exactness < 0 else overlap + exactness


def recommended(options: Sequence[Option]) -> Option | None:
    """Returns the option to choose; None where none fits.

    It is, in this order: the best Dice where that was measured, the model with most operations, the most exact
    precision, the overlap that the model recommends; of equals the fastest, then the engine that bedside prefers.
    """
    engines = list(ENGINES)

    def merit(option: Option) -> tuple[float, float, int, bool, float, int]:
        exactness = -PRECISIONS.index(option.precision)
        preference = -engines.index(option.engine) if option.engine in engines else -len(engines)
        accuracy = (option.dice or 0.0, option.gflop, exactness, option.is_usual_overlap)
        return *accuracy, -option.seconds.predicted, preference

    return max((option for option in options if option.on_front), key=merit, default=None)


def shown_seconds(seconds: float) -> str:
    """Returns a time for people: ``0.042 s``, ``3.1 s``, ``210 s``."""
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:,.0f} s"


def shown_bytes(size: float) -> str:
    """Returns an amount of memory for people: ``340 MB``, ``2.1 GB``."""
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"
