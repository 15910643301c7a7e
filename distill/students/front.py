"""Which student to take: the fastest variant of each, the Pareto front of these, and what they advise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from .measured import StudentComparison


class _Point(Protocol):
    @property
    def milliseconds(self) -> float: ...
    @property
    def dice(self) -> float: ...


_P = TypeVar("_P", bound=_Point)


@dataclass(frozen=True)
class MeasuredVariant:
    """A student in one precision on one engine.

    Attributes:
        student: name of the student.
        engine: name of the engine.
        precision: precision of the variant.
        milliseconds: of one window.
        dice: mean Dice of this precision.
    """

    student: str
    engine: str
    precision: str
    milliseconds: float
    dice: float


def pareto_front(points: Iterable[_P]) -> list[_P]:
    """Returns the points that no other one beats: none is as fast and has a higher Dice; the fastest first."""
    front: list[_P] = []
    for point in sorted(points, key=lambda point: (point.milliseconds, -point.dice)):
        if not front or point.dice > front[-1].dice:
            front.append(point)
    return front


def fastest_variants(comparison: StudentComparison) -> dict[str, MeasuredVariant]:
    """Returns each student's fastest variant among those whose precision has a Dice."""
    fastest: dict[str, MeasuredVariant] = {}
    for student, engines in comparison.times.milliseconds.items():
        variants = [
            MeasuredVariant(student, engine, precision, milliseconds, dice.mean)
            for engine, precisions in engines.items()
            for precision, milliseconds in precisions.items()
            if (dice := comparison.of(student, precision)) is not None
        ]
        if variants:
            fastest[student] = min(variants, key=lambda variant: variant.milliseconds)
    return fastest


def front_of(comparison: StudentComparison) -> list[MeasuredVariant]:
    """Returns the Pareto front of the students' fastest variants, the fastest first."""
    return pareto_front(fastest_variants(comparison).values())


def advice(comparisons: Sequence[StudentComparison], parameters: Mapping[str, int]) -> list[str]:
    """Returns which student to take for Dice, for speed and for size, in sentences; none where nothing was measured.

    Args:
        comparisons: the comparisons that were made.
        parameters: student → number of its parameters, where known.
    """
    fronts = {each.data: front for each in comparisons if (front := front_of(each))}
    if not fronts:
        return []
    best = _by_data({data: front[-1].student for data, front in fronts.items()})
    fastest = _by_data({data: front[0].student for data, front in fronts.items()})
    lost = _by_data({data: f"{front[-1].dice - front[0].dice:.3f}" for data, front in fronts.items()})
    on_front = {variant.student for front in fronts.values() for variant in front}
    smallest = min(sorted(on_front & parameters.keys()), key=lambda name: parameters[name], default=fastest)
    why = "speed and a small file" if smallest == fastest else "speed"
    said = [f"For the best Dice take {best}.", f"For {why} take {fastest}: its Dice is lower by {lost}."]
    if smallest != fastest:
        said.append(f"For a small file take {smallest}.")
    one_seed = any(dice.seeds == 1 for each in comparisons for of in each.dice.values() for dice in of.values())
    doubt = ", and one seed shows no difference of 0.01" if one_seed else ""
    return [*said, f"A longer training favours the slow students, which had few steps{doubt}."]


def _by_data(values: Mapping[str, str]) -> str:
    """Returns ``value on data, value on data``; the value alone where it is the same on all data sets."""
    if len(set(values.values())) == 1:
        return next(iter(values.values()))
    return ", ".join(f"{value} on {data}" for data, value in values.items())
