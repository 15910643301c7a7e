"""Measures Dice and time over the overlap of windows on the gate cases, and recommends an overlap."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from ...runtime.bundles.figures import OverlapPoint
from ...runtime.bundles.variant import Variant
from ..gate_cases import GateCase
from .dice import segment_cases
from .verdict import MAX_DICE_DROP

OVERLAPS = (0.0, 0.125, 0.25, 0.5, 0.625, 0.75)
DEFAULT_OVERLAP = 0.5
ACCEPTED_LOSS = 0.002  # of mean Dice below the best overlap


@dataclass(frozen=True)
class RecommendedOverlap:
    """An overlap, and how it was chosen, as free text."""

    overlap: float
    reason: str


def overlap_curve(
    bundle: Path,
    variant: Variant,
    cases: Sequence[GateCase],
    *,
    threads: int | None,
    ignore: int | None,
    starting: Callable[[float], None],
) -> tuple[OverlapPoint, ...]:
    """Segments the gate cases with each overlap.

    Args:
        bundle: a complete bundle directory.
        variant: the variant to run.
        cases: (image, label map on the same grid), at least one.
        threads: CPU threads; None for all.
        ignore: value of the label maps that marks voxels to leave out; None compares all voxels.
        starting: called before each case, with the overlap.

    Raises:
        InputError: a case is refused, or its label map is on another grid.
        NotFiniteError: the variant returns NaN or infinity in a window of a case.
    """
    points: list[OverlapPoint] = []
    for overlap in OVERLAPS:
        run = segment_cases(
            bundle,
            variant,
            cases,
            threads=threads,
            ignore=ignore,
            overlap=overlap,
            starting=lambda overlap=overlap: starting(overlap),
        )
        point = OverlapPoint(
            overlap=overlap, dice=run.organ_means, windows=fmean(run.windows), seconds=fmean(run.seconds)
        )
        points.append(point)
    return tuple(points)


def recommended(curve: Sequence[OverlapPoint], measured_with: str) -> RecommendedOverlap:
    """Chooses the overlap with the fewest windows whose mean Dice is within 0.002 of the best.

    No organ may lose more than 0.01 against the best overlap, because a mean hides a lost organ. Windows are counted
    rather than timed: their number is the same on every machine. Overlaps that need equally many windows on the gate
    cases are the same there; of those, the one closest to the default, 0.5, is chosen.

    Where no case has an organ there is no Dice to choose by, and the default is kept.

    Args:
        curve: the points, at least one.
        measured_with: name of the variant, for the reason.
    """
    if not any(point.dice for point in curve):
        return RecommendedOverlap(DEFAULT_OVERLAP, "the default: no gate case has an organ to measure Dice on")
    best = max(curve, key=lambda point: point.mean_dice)
    able = [point for point in curve if _is_close(point.dice, best.dice)]
    chosen = min(able, key=lambda point: (point.windows, abs(point.overlap - DEFAULT_OVERLAP)))
    if not windows_differ(curve):
        return RecommendedOverlap(chosen.overlap, "the default: on the gate cases all overlaps need the same windows")
    return RecommendedOverlap(
        chosen.overlap,
        f"the fewest windows within {ACCEPTED_LOSS} of the best mean Dice on the gate cases, with {measured_with}: "
        f"{chosen.mean_dice:.4f} in {chosen.windows:.3g} windows, at best {best.mean_dice:.4f} in {best.windows:.3g}",
    )


def windows_differ(curve: Sequence[OverlapPoint]) -> bool:
    """Returns whether the overlaps need different numbers of windows on the gate cases."""
    return len({point.windows for point in curve}) > 1


def _is_close(dice: Mapping[str, float], best: Mapping[str, float]) -> bool:
    losses = [best[organ] - dice[organ] for organ in best]
    return not losses or (fmean(losses) <= ACCEPTED_LOSS and max(losses) <= MAX_DICE_DROP)
