"""Which options fit the limits, which are on the Pareto front, and which one to choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...runtime.engines import ENGINES, PRECISIONS
from .report import Limits, Option

UNPACKING = 6e-9
"""Seconds per voxel that unpacking a compressed scan takes about, in one thread: zlib gave 330 MB/s on a core of an AMD
EPYC, and a voxel has two bytes. Where the network is faster, it does not decide how long a scan takes."""

_EQUAL = 1.01  # figures closer than this are the same: files of two engines differ by some bytes


def judged(option: Option, limits: Limits, voxels: int = 0) -> Option:
    """Returns an option with the reasons why it does not fit, and where it may not.

    Args:
        option: the option.
        limits: the limits.
        voxels: number of voxels of the scan; 0 where unknown.
    """
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
        elif what == "memory" and limits.usable_memory is not None and figure.high > limits.usable_memory:
            left = shown_bytes(limits.usable_memory)
            doubts.append(f"memory: at worst {shown(figure.high)}, and the device's own system may leave {left}")
    if limits.seconds is not None and not exclusions:
        doubts += filter(None, [_doubt_of_other_stages(option, limits.seconds, voxels)])
    return replace(option, exclusions=tuple(exclusions), doubts=tuple(doubts))


def _doubt_of_other_stages(option: Option, limit: float, voxels: int) -> str:
    """Returns why the time of all that is not the network may matter, as a sentence; empty where it does not."""
    network = shown_seconds(option.seconds.predicted)
    if option.other_seconds is not None:
        if option.seconds.predicted + option.other_seconds <= limit:
            return ""
        more = shown_seconds(option.other_seconds)
        return f"time: {network} of the network and about {more} of all else, the limit is {shown_seconds(limit)}"
    if option.seconds.predicted >= UNPACKING * voxels:
        return ""
    return f"time: {network} of the network is less than unpacking the file takes; benchmark a scan on the device"


def with_front(options: Sequence[Option]) -> tuple[Option, ...]:
    """Returns the options with the Pareto front marked, among those that fit: time, memory and accuracy.

    Where something fits, something is on the front, though almost equal figures could rule each other out in a circle.
    """
    models = _dice_of_models(options)
    front: list[int] = []
    for number, option in enumerate(options):
        if not option.exclusions and not any(_dominates(options[other], option, models) for other in front):
            front = [other for other in front if not _dominates(option, options[other], models)] + [number]
    return tuple(replace(option, on_front=number in front) for number, option in enumerate(options))


def _dominates(one: Option, other: Option, models: Mapping[str, float]) -> bool:
    """Whether an option is at least as good as another in everything, and better in something."""
    accuracy = _more_accurate(one, other, models)
    pairs = list(zip(_costs(one), _costs(other), strict=True))
    if accuracy is None or accuracy < 0 or any(a > _EQUAL * b for a, b in pairs):
        return False
    return accuracy > 0 or any(b > _EQUAL * a for a, b in pairs)


def _costs(option: Option) -> tuple[float, float]:
    return option.seconds.predicted, option.memory.predicted


def _more_accurate(one: Option, other: Option, models: Mapping[str, float]) -> float | None:
    """Returns a positive number where an option is more accurate, 0 where equally; None where nobody knows.

    Between models, the models' Dice decides where that of both options was measured, on the same scans, and agrees;
    options of one model are compared by exactness: those that are more exact and overlap more are not worse.
    """
    overlap = one.overlap - other.overlap
    if one.model != other.model:
        if one.dice is None or other.dice is None or not models or overlap < 0 or one.dice < other.dice:
            return None
        return models[one.model] - models[other.model]
    exactness = PRECISIONS.index(other.precision) - PRECISIONS.index(one.precision)
    return None if overlap * exactness < 0 else overlap + exactness


def recommended(options: Sequence[Option]) -> Option | None:
    """Returns the option to choose; None where none fits.

    The model is chosen first: the one with the best measured Dice; of equals, and where none was measured, the one with
    most operations. Of its options, the choice is that with the best Dice, if all of them that are on the front have
    one; then that with the most exact precision; then that with the overlap that the model recommends; then the
    fastest; then that of the engine which bedside prefers. Dice of different scans is not compared.
    """
    front = [option for option in options if option.on_front]
    engines, models = list(ENGINES), _dice_of_models(options)
    complete = {option.model for option in front} - {option.model for option in front if option.dice is None}

    def merit(option: Option) -> tuple[float, float, float, int, bool, float, int]:
        own = option.dice if option.dice is not None and option.model in complete else 0.0
        exactness = -PRECISIONS.index(option.precision)
        preference = -engines.index(option.engine) if option.engine in engines else -len(engines)
        accuracy = (models.get(option.model, 0.0), option.gflop, own, exactness, option.is_usual_overlap)
        return *accuracy, -option.seconds.predicted, preference

    return max(front, key=merit, default=None)


def _dice_of_models(options: Sequence[Option]) -> dict[str, float]:
    """Returns model → the best Dice that was measured of its options.

    Options that do not fit count only for a model without a measured one that fits. Models without a measured Dice are
    left out. The result is empty where Dice was measured on different scans, which cannot be compared.
    """
    known = [(option, option.dice) for option in options if option.dice is not None]
    if len({option.dice_of for option, _ in known}) > 1:
        return {}
    fitting = {option.model for option, _ in known if not option.exclusions}
    best: dict[str, float] = {}
    for option, dice in known:
        if not option.exclusions or option.model not in fitting:
            best[option.model] = max(dice, best.get(option.model, 0.0))
    return best


def reason_of_choice(options: Sequence[Option]) -> str:
    """Returns why `recommended` chooses its option, and what is not known of the accuracy, as a sentence."""
    front = [option for option in options if option.on_front]
    chosen, models = recommended(options), _dice_of_models(options)
    if chosen is None:
        return ""
    names = list(dict.fromkeys(option.model for option in front))
    by_size = "the network with most operations, then the most exact precision" if names[1:] else "most exact precision"
    if not models:
        scans = sorted({option.dice_of for option in options if option.dice is not None})
        known = f"Dice of different scans ({', '.join(scans)}) is not compared" if scans else "accuracy unknown"
        return f"{by_size} of what fits; {known}"
    said = f"{by_size} of what fits"
    if names[1:] and chosen.model in models:
        scans = next(option.dice_of for option in options if option.dice is not None)
        said = f"best Dice of what fits, {models[chosen.model]:.3f} on {scans}"
    if chosen.dice is None:
        said += f"; its Dice in {chosen.precision} was not measured"
    unknown = [name for name in names if name not in models]
    return f"{said}; accuracy unknown: {', '.join(unknown)}" if unknown else said


def shown_seconds(seconds: float) -> str:
    """Returns a time for people: ``0.042 s``, ``3.1 s``, ``210 s``."""
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:,.0f} s"


def shown_bytes(size: float) -> str:
    """Returns an amount of memory for people: ``340 MB``, ``2.1 GB``."""
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"
