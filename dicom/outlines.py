"""Outlines of a mask as closed polygons along the edges of its pixels: they enclose exactly the mask's area."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_Corner = tuple[int, int]  # row and column of a pixel's upper left corner
_Outline = list[_Corner]


def outlines(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Returns one polygon for each 4-connected part of a mask; holes are joined to it by a channel of no width.

    This "keyhole" is how DICOM wants holes in contours of the type CLOSED_PLANAR (PS3.3, C.8.8.6.3).

    >>> outlines(np.array([[True, True]]))
    [array([[-0.5, -0.5],
           [-0.5,  1.5],
           [ 0.5,  1.5],
           [ 0.5, -0.5]])]

    Args:
        mask: [rows, columns].

    Returns:
        Arrays [N, 2] of rows and columns, where a pixel's centre has whole numbers.
    """
    traced = _traced(mask)
    around = [each for each in traced if _area(each) > 0]
    holes = [each for each in traced if _area(each) < 0]
    for hole in sorted(holes, key=lambda each: min(column for _, column in each)):
        _join(hole, around)
    return [np.array(_corners(each), np.float64) - 0.5 for each in around]


def _traced(mask: NDArray[np.bool_]) -> list[_Outline]:
    """Returns the closed lines between mask and background, with the mask to the right of the direction of travel."""
    starts: dict[_Corner, list[_Corner]] = {}
    for start, end in _edges(mask):
        starts.setdefault(start, []).append(end)
    lines: list[_Outline] = []
    while starts:
        line = [next(iter(starts))]
        heading = (0, 0)
        while True:
            here = line[-1]
            ends = starts[here]
            right = (here[0] + heading[1], here[1] - heading[0])  # where pixels touch at a corner, stay with this one
            following = ends.pop(ends.index(right) if right in ends else 0)
            if not ends:
                del starts[here]
            heading = (following[0] - here[0], following[1] - here[1])
            if following == line[0] and not (following in starts and _continues(starts, following, heading)):
                break
            line.append(following)
        lines.append(line)
    return lines


def _continues(starts: dict[_Corner, list[_Corner]], here: _Corner, heading: _Corner) -> bool:
    """Whether a line that is back at its first corner turns right there, because it has met it at another pixel."""
    return (here[0] + heading[1], here[1] - heading[0]) in starts[here]


def _edges(mask: NDArray[np.bool_]) -> list[tuple[_Corner, _Corner]]:
    """Returns the edges of pixels between mask and background, from corner to corner."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    found: list[tuple[_Corner, _Corner]] = []
    for beyond, start, end in (
        (padded[:-2, 1:-1], (0, 0), (0, 1)),
        (padded[1:-1, 2:], (0, 1), (1, 1)),
        (padded[2:, 1:-1], (1, 1), (1, 0)),
        (padded[1:-1, :-2], (1, 0), (0, 0)),
    ):
        pixels: list[list[int]] = np.argwhere(inside & ~beyond).tolist()
        found += [((r + start[0], c + start[1]), (r + end[0], c + end[1])) for r, c in pixels]
    return found


def _area(line: _Outline) -> float:
    """Returns the area within a line; negative where the mask lies outside."""
    rows, columns = np.array(line, np.float64).T
    return 0.5 * float(columns @ np.roll(rows, -1) - rows @ np.roll(columns, -1))


def _join(hole: _Outline, around: list[_Outline]) -> None:
    """Joins a hole to the outline that lies to the left of its leftmost corner, which is one of ``around``."""
    first = min(range(len(hole)), key=lambda index: hole[index][1])
    row, column = hole[first]
    corners: dict[_Corner, tuple[_Outline, int]] = {
        corner: (line, index) for line in around for index, corner in enumerate(line) if corner[0] == row
    }
    left = max(each for _, each in corners if each < column)
    line, index = corners[row, left]
    line[index + 1 : index + 1] = [*hole[first:], *hole[: first + 1], line[index]]


def _corners(line: _Outline) -> _Outline:
    """Leaves out what lies on a straight line between its neighbours."""
    points: NDArray[Any] = np.array(line)
    before, after = points - np.roll(points, 1, 0), np.roll(points, -1, 0) - points
    straight = np.sign(before) == np.sign(after)
    return [corner for corner, is_straight in zip(line, straight.all(1).tolist(), strict=True) if not is_straight]
