"""The locator's gate: Dice per organ with and without it on the gate cases, and the windows it saves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...runtime.bundles.manifest import Variant
from ..cases import ExportCases
from ..gate.dice import segment_cases

MAX_DICE_LOSS = 0.002  # of any organ


@dataclass(frozen=True)
class LocatorFigures:
    """What a locator costs and saves.

    Attributes:
        without: label → mean Dice with all windows.
        loss: label → mean Dice lost with the locator; negative where it gained.
        windows_saved: fraction of the windows with body that it leaves out.
    """

    without: dict[str, float]
    loss: dict[str, float]
    windows_saved: float

    @property
    def failure(self) -> str:
        """Why the locator must be left out, as a message; empty where it may stay."""
        reasons = [
            f"{organ}: Dice {self.without[organ] - loss:.4f}, {loss:.4f} below that of all windows (at most "
            f"{MAX_DICE_LOSS})"
            for organ, loss in self.loss.items()
            if loss > MAX_DICE_LOSS
        ]
        if not self.windows_saved > 0:
            reasons.append("it saves no window of the gate cases")
        return "; ".join(reasons)


def measure_locator(
    bundle: Path, variant: Variant, cases: ExportCases, threads: int | None, starting: Callable[[], None]
) -> LocatorFigures:
    """Segments the gate cases with and without the locator.

    Args:
        bundle: a complete bundle directory with a locator.
        variant: the student's fp32.
        cases: at least one gate case.
        threads: CPU threads; None for all.
        starting: called before each of the two segmentations of a case.

    Raises:
        InputError: a case is refused, or its label map is on another grid.
    """
    every, located = (
        segment_cases(
            bundle, variant, cases.gate, threads=threads, ignore=cases.ignore, use_locator=use, starting=starting
        )
        for use in (False, True)
    )
    without, found = every.organ_means, located.organ_means
    return LocatorFigures(
        without=without,
        loss={organ: dice - found[organ] for organ, dice in without.items()},
        windows_saved=1 - sum(located.windows) / max(sum(every.windows), 1),
    )
