"""Puts the frames of a series in order and derives their grid, from positions and orientations alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import Choice, InputError
from ..runtime.scans.geometry import Grid
from .frames import Frame

_SAME_DIRECTION = 1e-3  # difference of direction cosines, which some scanners round to three digits
_SAME_PLACE_MM = 0.01
_EVEN = 0.05  # of the distance of slices: how far a slice may lie from its place in an even stack
_TO_RAS = np.array([-1.0, -1.0, 1.0])  # DICOM's axes run to the left and to the back


@dataclass(frozen=True)
class Stack:
    """The slices of a scan in order.

    Attributes:
        slices: the frames from the first along the grid's third axis to the last; None where one is missing.
        grid: the grid of the whole scan; its first axis runs along the rows.
    """

    slices: tuple[Frame | None, ...]
    grid: Grid

    @property
    def missing(self) -> int:
        """Number of slices that are not there."""
        return sum(each is None for each in self.slices)

    @classmethod
    def of(cls, frames: Sequence[Frame], *, fill_gaps: bool = False) -> Stack:
        """Sorts frames along the normal of their planes.

        Args:
            frames: frames of one series.
            fill_gaps: whether missing slices are accepted, up to as many as there are slices.

        Raises:
            InputError: the frames are no stack of parallel, evenly spaced slices of one size; the message says which
                slices are at fault.
        """
        first = frames[0]
        if len(frames) < 2:
            raise InputError(
                "the series has one slice, which does not say how far the next would be; give the folder of the whole "
                "series, or all of its files"
            )
        _check_same_planes(frames)
        row, column = _axes(first)
        positions = np.array([frame.position for frame in frames])
        heights = positions @ np.cross(row, column)
        order = np.lexsort(np.array([[frame.number for frame in frames], heights]))
        ordered, positions, heights = [frames[i] for i in order], positions[order], heights[order]
        places = _places(ordered, heights, fill_gaps=fill_gaps)
        slices: list[Frame | None] = [None] * (places[-1] + 1)
        for place, frame in zip(places, ordered, strict=True):
            slices[place] = frame
        step = (positions[-1] - positions[0]) / places[-1]
        _check_straight(ordered, positions - positions[0] - np.outer(places, step), float(np.linalg.norm(step)))
        affine = np.eye(4)
        affine[:3, 0], affine[:3, 1], affine[:3, 2] = row * first.spacing[1], column * first.spacing[0], step
        affine[:3, 3] = positions[0]
        affine[:3] *= _TO_RAS[:, None]
        rows, columns = first.size
        return cls(tuple(slices), Grid((columns, rows, len(slices)), affine))


def _axes(frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the directions of a row and of a column, of length 1."""
    row, column = np.array(frame.directions[:3]), np.array(frame.directions[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if max(abs(length - 1) for length in lengths) > 10 * _SAME_DIRECTION or abs(row @ column) > 10 * _SAME_DIRECTION:
        raise InputError(
            "the series' image orientation is not two directions of length 1 at a right angle; export the series again"
        )
    return row / lengths[0], column / lengths[1]


def _check_same_planes(frames: Sequence[Frame]) -> None:
    first = frames[0]
    for name, texts in (
        ("modality", [frame.modality for frame in frames]),
        ("frame of reference", [frame.frame_of_reference for frame in frames]),
    ):
        _check_alike(name, frames, np.array([text != texts[0] for text in texts]))
    for name, values, tolerance in (
        ("size", [frame.size for frame in frames], 0),
        ("orientation", [frame.directions for frame in frames], _SAME_DIRECTION),
        ("pixel spacing", [frame.spacing for frame in frames], _SAME_DIRECTION * min(first.spacing)),
    ):
        apart = np.abs(np.array(values) - np.array(values[0])) > tolerance
        _check_alike(name, frames, np.asarray(apart.any(axis=1)))


def _check_alike(name: str, frames: Sequence[Frame], differs: NDArray[np.bool_]) -> None:
    if differs.any():
        other = frames[int(differs.argmax())]
        raise InputError(
            f"the series' slices differ in {name} (number {frames[0].number} and number {other.number}): it holds "
            "several stacks, or slices of several scans; give the files of one alone"
        )


def _places(frames: Sequence[Frame], heights: NDArray[np.float64], *, fill_gaps: bool) -> list[int]:
    """Returns each frame's index in the stack; 0 for the first."""
    distances = np.diff(heights)
    if (distances < _SAME_PLACE_MM).any():
        at = int((distances < _SAME_PLACE_MM).argmax())
        count = int((distances < _SAME_PLACE_MM).sum())
        raise InputError(
            f"{_slices(count, 'lies', 'lie')} where another lies, numbers {frames[at].number} and "
            f"{frames[at + 1].number}{' first' * (count > 1)}: files are there twice, or the series holds several "
            "acquisitions; give the files of one"
        )
    # The step is the median; of a series that lacks half of its slices or more, the smallest distance.
    for step in (float(np.median(distances)), float(distances.min())):
        steps = distances / step
        whole = np.maximum(np.rint(steps), 1)
        if (np.abs(steps - whole) <= _EVEN * whole).all():  # what is no number is not
            break
    else:
        raise InputError(
            f"the slices are unevenly spaced, {distances.min():.3g} to {distances.max():.3g} mm apart; export the "
            "series again, or resample it first"
        )
    missing = int((whole - 1).sum())
    too_many = missing > len(frames)  # most of the scan would be invented, and no memory may hold it
    if missing and (too_many or not fill_gaps):
        at = int((whole > 1).argmax())
        advice = "copy the whole series"
        advice += ", or give the files of one scan" if too_many else ", or interpolate (--fill-gaps)"
        raise InputError(
            f"{_slices(missing, 'is', 'are')} missing,{' first' * (missing > 1)} between numbers {frames[at].number} "
            f"and {frames[at + 1].number} ({distances[at]:.3g} mm apart, others {step:.3g} mm); {advice}",
            [] if too_many else [Choice("fill_gaps", "true", "interpolate the missing slices")],
        )
    return [0, *np.cumsum(whole).astype(int).tolist()]


def _slices(count: int, verb: str, verbs: str) -> str:
    return f"1 slice {verb}" if count == 1 else f"{count:.6g} slices {verbs}"


def _check_straight(frames: Sequence[Frame], offsets: NDArray[np.float64], step: float) -> None:
    """Checks that every slice lies at its place on the line from the first slice to the last."""
    distances = np.linalg.norm(offsets, axis=1)
    worst = int(distances.argmax())
    if distances[worst] > max(_EVEN * step, _SAME_PLACE_MM):
        raise InputError(
            f"slice number {frames[worst].number} lies {distances[worst]:.3g} mm from its place in an even stack; "
            "export the series again, or resample it first"
        )
