"""The locator's gate: Dice per organ with and without it on the gate cases, and the windows it saves.

Every case is segmented with the settings that the other cases choose: with its own, no organ of it could be missed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from ...runtime.bundles.manifest import Variant
from ..cases import ExportCases
from ..gate.dice import VariantScores, segment_cases

MAX_DICE_LOSS = 0.002  # of any organ
LEAST_RECALL = 0.1  # of any organ, before the region is grown: below, it lies near what is found in these scans only


@dataclass(frozen=True)
class LocatorFigures:
    """What a locator costs and saves.

    Attributes:
        without: label → mean Dice with all windows.
        loss: label → mean Dice lost with the locator; negative where it gained.
        windows_saved: fraction of the windows with body that it leaves out.
        recall: label → fraction of the organ's voxels in the region before it is grown.
    """

    without: dict[str, float]
    loss: dict[str, float]
    windows_saved: float
    recall: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def failure(self) -> str:
        """Why the locator must be left out, as a message; empty where it may stay."""
        reasons = [
            f"{organ}: Dice {self.without[organ] - loss:.4f}, {loss:.4f} below that of all windows (at most "
            f"{MAX_DICE_LOSS})"
            for organ, loss in self.loss.items()
            if loss > MAX_DICE_LOSS
        ]
        reasons += [
            f"{organ}: it finds {100 * recall:.0f} % of the voxels before the margin (at least "
            f"{100 * LEAST_RECALL:.0f} %)"
            for organ, recall in self.recall.items()
            if recall < LEAST_RECALL
        ]
        if not self.loss:
            reasons.append("no gate case has an organ to measure its loss on")
        if not self.windows_saved > 0:
            reasons.append("it saves no window of the gate cases")
        return "; ".join(reasons)


def measure_locator(
    bundle: Path,
    variant: Variant,
    cases: ExportCases,
    threads: int | None,
    starting: Callable[[], None],
    leave_out: Callable[[int], None],
) -> LocatorFigures:
    """Segments the gate cases with and without the locator.

    Args:
        bundle: a complete bundle directory with a locator.
        variant: the student's fp32.
        cases: at least two gate cases.
        threads: CPU threads; None for all.
        starting: called before each of the two segmentations of a case.
        leave_out: called with the index of a case before it is segmented with the locator: gives the bundle's locator
            the settings that the other cases choose.

    Raises:
        InputError: a case is refused, or its label map is on another grid.
        NotFiniteError: the student returns NaN or infinity in a window of a case.
    """
    segment = partial(segment_cases, bundle, variant, threads=threads, ignore=cases.ignore, starting=starting)
    every = segment(cases.gate, use_locator=False)
    located: list[VariantScores] = []
    for number, case in enumerate(cases.gate):
        leave_out(number)
        located.append(segment([case]))
    without = every.organ_means
    found = replace(every, dice=np.concatenate([each.dice for each in located])).organ_means
    return LocatorFigures(
        without=without,
        loss={organ: dice - found[organ] for organ, dice in without.items()},
        windows_saved=1 - sum(each.windows[0] for each in located) / max(sum(every.windows), 1),
    )
