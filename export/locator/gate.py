"""The locator's gate: Dice per organ with and without it on the gate cases, and the windows it saves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...runtime.scans.nifti import read_volume
from ...runtime.segmenter import Segmenter
from ...training.data.organ_masks import read_truth
from ...training.scores.metrics import dice_per_class
from ..cases import ExportCases

MAX_DICE_LOSS = 0.002  # of any organ


@dataclass(frozen=True)
class LocatorFigures:
    """What a locator costs and saves.

    Attributes:
        without: label → mean Dice of the student's fp32 with all windows.
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
    bundle: Path, cases: ExportCases, threads: int | None, starting: Callable[[], None]
) -> LocatorFigures:
    """Segments the gate cases with and without the locator, with the student's fp32.

    Args:
        bundle: a complete bundle directory with a locator.
        cases: at least one gate case.
        threads: CPU threads; None for all.
        starting: called before each of the two segmentations of a case.
    """
    scores: dict[bool, list[np.ndarray]] = {False: [], True: []}
    saved = windows = 0
    with Segmenter.load(bundle, precision="fp32", threads=threads, self_test=False) as segmenter:
        names = segmenter.task.labels
        for image, label in cases.gate:
            scan, truth = read_volume(image), read_truth(label)
            ignored = None if cases.ignore is None else truth.data == cases.ignore
            for use in scores:
                starting()
                result = segmenter.segment(scan, use_locator=use)
                scores[use].append(dice_per_class(result.labels, truth.data, len(names), ignored))
                saved += result.windows_without_organ
                windows += 0 if use else result.windows
    all_windows, located = (_means(np.stack(scores[use]), names) for use in (False, True))
    return LocatorFigures(
        without=all_windows,
        loss={organ: dice - located[organ] for organ, dice in all_windows.items()},
        windows_saved=saved / max(windows, 1),
    )


def _means(scores: np.ndarray, names: tuple[str, ...]) -> dict[str, float]:
    """Returns label → mean over the cases that have it, without the background; scores are [cases, classes]."""
    return {
        name: float(np.nanmean(column))
        for name, column in zip(names[1:], scores.T[1:], strict=True)
        if not np.isnan(column).all()
    }
