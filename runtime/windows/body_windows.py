"""Finds which windows hold body, plane by plane, so that the body mask need not stay in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .plan import PlanTriple, Starts, WindowPlan


class BodyWindows:
    """Records for every plane of a volume which windows, in y and x, hold body there.

    Args:
        plan: the window plan.
        margin: number of planes by which the body is grown along z, to both sides.
    """

    def __init__(self, plan: WindowPlan, margin: int = 0) -> None:
        self._plan, self._margin = plan, margin
        _, y, x = plan.axes
        self._rows, self._columns = _edges(y, plan.patch[1]), _edges(x, plan.patch[2])
        self._row_of = {start: index for index, start in enumerate(y)}
        self._column_of = {start: index for index, start in enumerate(x)}
        self._held = np.zeros((plan.padded[0], len(y), len(x)), np.bool_)
        self._padded = np.zeros(plan.padded[1:], np.bool_)

    def add(self, plane: int, body: NDArray[np.bool_]) -> None:
        """Adds the body mask [H, W] of one plane; ``plane`` is its index in the volume without padding."""
        (before_z, before_y, before_x), (_, height, width) = self._plan.pad_before, self._plan.shape
        self._padded[before_y : before_y + height, before_x : before_x + width] = body
        under_rows = np.logical_or.reduceat(self._padded, self._rows, axis=0)[::2]
        self._held[before_z + plane] = np.logical_or.reduceat(under_rows, self._columns, axis=1)[:, ::2]

    @property
    def any(self) -> bool:
        """Whether any plane added so far holds body."""
        return bool(self._held.any())

    def has_body(self, start: PlanTriple) -> bool:
        """Whether the window that starts at ``start`` holds body."""
        first, stop = max(0, start[0] - self._margin), start[0] + self._plan.patch[0] + self._margin
        return bool(self._held[first:stop, self._row_of[start[1]], self._column_of[start[2]]].any())


def _edges(starts: Starts, size: int) -> list[int]:
    """Returns every window's start and end as indices for `reduceat`, which adds the last end by itself."""
    return [edge for start in starts for edge in (start, start + size)][:-1]
