"""Outlines of a mask as closed polygons along the edges of its pixels: they enclose exactly the mask's area."""

from __future__ import annotations

from bisect import bisect_left
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
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return []
    traced = _traced(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    holes = [_area(line) < 0 for line in traced]
    around = _joined(traced, holes) if any(holes) else traced
    first = np.array([rows[0], columns[0]]) - 0.5
    return [np.array(_corners(each), np.float64) + first for each in around]


def _traced(mask: NDArray[np.bool_]) -> list[_Outline]:
    """Returns the closed lines between mask and background, with the mask to the right of the direction of travel."""
    starts: dict[_Corner, list[_Corner]] = {}
    for start, end in _edges(mask):
        starts.setdefault(start, []).append(end)
    lines: list[_Outline] = []
    for corner in list(starts):
        while corner in starts:
            lines.append(_trace(starts, corner))
    return lines


def _trace(starts: dict[_Corner, list[_Corner]], first: _Corner) -> _Outline:
    """Takes the edges of one closed line out of ``starts``, and returns its corners."""
    line, heading = [first], (0, 0)
    while True:
        here = line[-1]
        ends = starts[here]
        right = (here[0] + heading[1], here[1] - heading[0])  # where pixels touch at a corner, stay with this one
        following = ends.pop(ends.index(right) if right in ends else 0)
        if not ends:
            del starts[here]
        heading = (following[0] - here[0], following[1] - here[1])
        if following == first and not (following in starts and _continues(starts, following, heading)):
            return line
        line.append(following)


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
    return 0.5 * sum(b[0] * a[1] - a[0] * b[1] for a, b in zip(line, [*line[1:], line[0]], strict=True))


def _joined(lines: list[_Outline], holes: list[bool]) -> list[_Outline]:
    """Joins every hole to the line that lies to the left of its leftmost corner; returns the outlines around them."""
    corners = [corner for line in lines for corner in line]
    ends = np.cumsum([len(line) for line in lines]).tolist()
    starts = [0, *ends[:-1]]
    following = list(range(1, len(corners) + 1))  # index of each corner → that of the next in its line
    for start, end in zip(starts, ends, strict=True):
        following[end - 1] = start
    in_row: dict[int, list[tuple[int, int]]] = {}
    for index in sorted(range(len(corners)), key=corners.__getitem__):
        in_row.setdefault(corners[index][0], []).append((corners[index][1], index))
    leftmost = [
        min(range(start, end), key=lambda index: corners[index][1]) for start, end in zip(starts, ends, strict=True)
    ]
    # A hole is joined before those to its right, which may be joined to it.
    for number in sorted(
        (number for number, hole in enumerate(holes) if hole), key=lambda each: corners[leftmost[each]][1]
    ):
        first = leftmost[number]
        row, column = corners[first]
        left = in_row[row][bisect_left(in_row[row], (column, -1)) - 1][1]
        last = first - 1 if first > starts[number] else ends[number] - 1
        back = len(corners)  # the way back: the hole's first corner once more, then that of the line
        corners += [corners[first], corners[left]]
        following += [back + 1, following[left]]
        following[last], following[left] = back, first
    return [_line(corners, following, start) for start, hole in zip(starts, holes, strict=True) if not hole]


def _line(corners: _Outline, following: list[int], start: int) -> _Outline:
    line, index = [corners[start]], following[start]
    while index != start:
        line.append(corners[index])
        index = following[index]
    return line


def _corners(line: _Outline) -> _Outline:
    """Leaves out what lies on a straight line between its neighbours."""
    points: NDArray[Any] = np.array(line)
    before, after = points - np.roll(points, 1, 0), np.roll(points, -1, 0) - points
    straight = np.sign(before) == np.sign(after)
    return [corner for corner, is_straight in zip(line, straight.all(1).tolist(), strict=True) if not is_straight]
