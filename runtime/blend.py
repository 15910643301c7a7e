"""Blending: overlapping windows become one volume of scores, handed out slab by slab along z."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .windows import Triple, WindowPlan, gaussian_weight

BACKGROUND_LOGIT = 10.0  # how sure a network usually is in air; what a voxel gets that no window has seen


@dataclass(frozen=True)
class WindowScores:
    """What the network said about one window.

    Attributes:
        start: (z, y, x) of the window, as in `WindowPlan.starts`.
        logits: [C, D, H, W] float32; blending overwrites it. None: the window is left out, as if it had not been run.
    """

    start: Triple
    logits: NDArray[np.float32] | None


@dataclass(frozen=True)
class Slab:
    """Finished planes of the volume.

    Attributes:
        start: z of the first plane, in the volume without padding.
        scores: [C, planes, H, W] float32 blended logits.
    """

    start: int
    scores: NDArray[np.float32]


def blend(plan: WindowPlan, windows: Iterable[WindowScores], num_classes: int) -> Iterator[Slab]:
    """Blends logits with Gaussian weights and hands out planes as soon as no later window touches them.

    Logits are averaged, not probabilities, as MONAI does with a network that returns logits. Voxels that no window saw
    (air that was skipped) are background. The accumulator is one patch deep, so its memory does not grow with the
    number of planes: (C + 1) · D_patch · H · W · 4 bytes.

    Args:
        plan: where the windows lie.
        windows: results in the order of ``plan.starts``; pulled one by one, so they may be computed on the way.
        num_classes: C.

    Yields:
        Slabs from z = 0 to the last plane, without gap or overlap.
    """
    accumulator = _Accumulator(plan, num_classes)
    for window in windows:
        if window.start[0] > accumulator.first_plane:
            yield from accumulator.release(window.start[0])
        if window.logits is not None:
            accumulator.add(window.start, window.logits)
    yield from accumulator.release(plan.padded[0])


class _Accumulator:
    """One patch-deep buffer of weighted logits that moves along z."""

    def __init__(self, plan: WindowPlan, num_classes: int) -> None:
        depth, height, width = plan.patch[0], plan.padded[1], plan.padded[2]
        self._plan = plan
        self._weight = gaussian_weight(plan.patch)
        self._scores = np.zeros((num_classes, depth, height, width), np.float32)
        self._weights = np.zeros((depth, height, width), np.float32)
        self.first_plane = 0  # of the buffer, in the padded volume

    def add(self, start: Triple, logits: NDArray[np.float32]) -> None:
        z, y, x = self._plan.window((start[0] - self.first_plane, start[1], start[2]))
        np.multiply(logits, self._weight, out=logits)
        self._scores[:, z, y, x] += logits
        self._weights[z, y, x] += self._weight

    def release(self, until: int) -> Iterator[Slab]:
        """Yields the planes before ``until`` (padded z) and moves the buffer there."""
        while self.first_plane < until:
            planes = min(until - self.first_plane, self._weights.shape[0])
            slab = self._finish(planes)
            self.first_plane += planes
            self._shift(planes)
            if slab is not None:
                yield slab

    def _finish(self, planes: int) -> Slab | None:
        """Divides the first planes by their weights and cuts the padding off."""
        plan = self._plan
        from_volume = self.first_plane - plan.pad_before[0]
        inside = slice(max(0, -from_volume), min(planes, plan.shape[0] - from_volume))
        if inside.start >= inside.stop:
            return None
        rows, columns = (
            slice(before, before + size) for before, size in zip(plan.pad_before[1:], plan.shape[1:], strict=True)
        )
        weights = self._weights[inside, rows, columns]
        unseen = weights == 0
        weights = np.where(unseen, np.float32(1), weights)
        scores = np.divide(self._scores[:, inside, rows, columns], weights, dtype=np.float32)
        scores[0][unseen] = BACKGROUND_LOGIT
        return Slab(from_volume + inside.start, scores)

    def _shift(self, planes: int) -> None:
        for plane_stack in (*self._scores, self._weights):
            kept = plane_stack.shape[0] - planes
            plane_stack[:kept] = plane_stack[planes:]
            plane_stack[kept:] = 0
