"""Compares a variant's probabilities with the student's, in the border zone of every organ.

A variant can keep every label and lose its confidence: Dice does not change, but every threshold, mean over models
and uncertainty that is built on the probabilities does. Far from borders all models are sure, so that a mean over the
whole patch says little. The border zone depends on the student alone, so all variants are compared on the same voxels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ...runtime.bundles.figures import BorderProbabilities

BORDER_VOXELS = 2
_BINS = 15  # as Guo et al. 2017, "On Calibration of Modern Neural Networks", use

Probabilities = NDArray[np.float32]
LabelMap = NDArray[np.integer]
Zones = Mapping[int, NDArray[np.intp]]
_Sums = NDArray[np.float64]


def border_zone(organ: NDArray[np.bool_], width: int = BORDER_VOXELS) -> NDArray[np.bool_]:
    """Returns the voxels whose cubic neighbourhood has voxels inside and outside of an organ.

    >>> border_zone(np.array([[[0, 0, 0, 1, 1, 1]]], bool), width=1).astype(int)
    array([[[0, 0, 1, 1, 0, 0]]])

    Args:
        organ: mask [D, H, W]; beyond its edges it goes on as at the edges.
        width: the neighbourhood has 2·width + 1 voxels along each axis.
    """
    from scipy.ndimage import maximum_filter, minimum_filter

    size = 2 * width + 1
    touched = np.asarray(maximum_filter(organ, size, mode="nearest"), bool)
    filled = np.asarray(minimum_filter(organ, size, mode="nearest"), bool)
    return touched & ~filled


def border_zones(student: Probabilities) -> Zones:
    """Returns organ → the voxels of its border zone, for the organs that the student finds.

    Voxels are counted along the flattened patch, [N]: there are far fewer of them than in masks of the patch.

    Args:
        student: its probabilities [C, D, H, W].
    """
    labels = student.argmax(axis=0)
    return {int(organ): np.flatnonzero(border_zone(labels == organ)) for organ in np.unique(labels[labels > 0])}


class BorderComparison:
    """Sums the differences of one variant over patches.

    Args:
        num_classes: number of classes, background included.
    """

    def __init__(self, num_classes: int) -> None:
        # Of each organ and bin of its probability: voxels, and sums over them.
        self._voxels, self._own, self._students, self._differences = (np.zeros((num_classes, _BINS)) for _ in range(4))
        # The same of the voxels with a known label.
        self._known, self._known_own, self._inside = (np.zeros((num_classes, _BINS)) for _ in range(3))

    def add(
        self,
        variant: Probabilities,
        student: Probabilities,
        truth: LabelMap | None,
        ignore: int | None,
        zones: Zones | None = None,
    ) -> None:
        """Adds a patch.

        Args:
            variant: the variant's probabilities [C, D, H, W].
            student: the student's probabilities [C, D, H, W], which place the border zones.
            truth: label map [D, H, W]; None where there is none.
            ignore: value of ``truth`` that marks voxels without a known label; None where all are known.
            zones: the student's `border_zones`, where several variants are compared with it; None computes them.
        """
        for organ, zone in (border_zones(student) if zones is None else zones).items():
            own, students = variant[organ].ravel()[zone], student[organ].ravel()[zone]
            bins = np.minimum((own * _BINS).astype(int), _BINS - 1)
            self._voxels[organ] += _binned(bins)
            self._own[organ] += _binned(bins, own)
            self._students[organ] += _binned(bins, students)
            self._differences[organ] += _binned(bins, np.abs(own - students))
            if truth is not None:
                labelled = truth.ravel()[zone]
                known = np.ones(labelled.shape, bool) if ignore is None else labelled != ignore
                self._known[organ] += _binned(bins[known])
                self._known_own[organ] += _binned(bins[known], own[known])
                self._inside[organ] += _binned(bins[known], labelled[known] == organ)

    def figures(self, labels: Sequence[str]) -> Mapping[str, BorderProbabilities]:
        """Returns label name → figures, for the organs that the student found in a patch.

        Args:
            labels: index → name, background first.
        """
        return {
            name: BorderProbabilities(
                voxels=int(self._voxels[organ].sum()),
                difference=float(self._differences[organ].sum() / self._voxels[organ].sum()),
                confidence_shift=_calibration_error(self._own[organ], self._students[organ], self._voxels[organ]),
                confidence_error=_calibration_error(self._known_own[organ], self._inside[organ], self._known[organ])
                if self._known[organ].any()
                else None,
            )
            for organ, name in enumerate(labels)
            if self._voxels[organ].any()
        }


def _binned(bins: NDArray[np.integer], weights: NDArray[np.generic] | None = None) -> _Sums:
    counted = np.bincount(bins, None if weights is None else weights.astype(np.float64), minlength=_BINS)
    return counted.astype(np.float64)


def _calibration_error(claimed: _Sums, found: _Sums, voxels: _Sums) -> float:
    """Returns the expected calibration error from the sums of each bin.

    The mean of a bin's absolute difference, weighted by its voxels, is the absolute difference of its sums.
    """
    return float(np.abs(claimed - found).sum() / voxels.sum())
