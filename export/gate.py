"""Measures the accuracy of a variant on labelled scans, through the whole runtime: from the file to the label map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..runtime.bundles.manifest import Variant
from ..runtime.errors import InputError
from ..runtime.scans.nifti import read_volume
from ..runtime.segmenter import Segmenter
from ..training.data.organ_masks import OrganMasks, read_truth
from ..training.scores.metrics import dice_per_class

GateCase = tuple[Path, Path | OrganMasks]


def gate_dice(
    bundle: Path,
    variant: Variant,
    cases: Sequence[GateCase],
    *,
    threads: int | None = None,
    ignore: int | None = None,
    starting: Callable[[], None] | None = None,
) -> dict[str, float]:
    """Segments the gate cases with one variant and computes the Dice of every organ.

    Args:
        bundle: a complete bundle directory.
        variant: the variant to run.
        cases: (image, label map on the same grid).
        threads: CPU threads; None for all.
        ignore: value of the label maps that marks voxels to leave out; None compares all voxels.
        starting: called before each case.

    Returns:
        Label name → mean Dice over the cases that have the organ, without the background and without organs that no
        case has.

    Raises:
        InputError: a case is refused, or its label map is on another grid.
    """
    scores: list[np.ndarray] = []
    with Segmenter.load(bundle, variant.engine, variant.precision, threads, self_test=False) as segmenter:
        names = segmenter.task.labels
        for number, (image, label) in enumerate(cases, start=1):
            if starting is not None:
                starting()
            scan, truth = read_volume(image), read_truth(label)
            if not scan.grid.coincides(truth.grid):
                raise InputError(f"gate case {number}: image and label map lie on different grids")
            labels = segmenter.segment(scan).labels
            ignored = None if ignore is None else truth.data == ignore
            scores.append(dice_per_class(labels, truth.data, len(names), ignored))
    return {
        name: float(np.nanmean(column))
        for name, column in zip(names[1:], np.stack(scores).T[1:], strict=True)
        if not np.isnan(column).all()
    }
