"""The pixels of a DICOM segmentation, written behind its header frame by frame, so that memory holds one frame.

A library makes the header from a small stand-in of the label map: one pixel per segment in place of each plane.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import InputError
from .functional_groups import functional_group

if TYPE_CHECKING:
    from pydicom import Dataset

_PIXEL_DATA = 0x7FE0_0010
_LARGEST = 2**32 - 2  # bytes of an element: its length has 32 bits, and is even (PS3.5, 7.1.1)


def stand_in(planes: Iterable[NDArray[np.integer[Any]]], segments: int) -> NDArray[np.integer[Any]]:
    """Returns one small plane [segments, 1] for each plane, stacked: pixel n - 1 is n where the plane has label n.

    Args:
        planes: label indices [rows, columns].
        segments: number of labels beside the background; no label is higher.
    """
    made = []
    for plane in planes:
        is_there = np.bincount(plane.ravel().astype(np.intp, copy=False), minlength=segments + 1)[1:] > 0
        made.append(np.where(is_there, np.arange(1, segments + 1), 0)[:, np.newaxis])
    return np.stack(made).astype(np.uint8 if segments < 256 else np.uint16)


def write_pixels(path: Path, header: Dataset, labels: NDArray[np.integer[Any]], places: Sequence[int]) -> None:
    """Writes a segmentation: its header, then its frames one after the other.

    Args:
        path: the file to write.
        header: the segmentation of the stand-in; it gets the size of the frames and loses its pixels.
        labels: [X, Y, Z] label indices.
        places: of each frame, its index along the third axis of ``labels``.

    Raises:
        InputError: the frames have more than 4 GiB together.
        RuntimeError: a binary frame has no segment.
    """
    columns, rows = labels.shape[:2]
    kind = header["PixelData"].VR
    bits = int(header.BitsAllocated)
    size = (rows * columns * len(places) * bits + 7) // 8
    if size > _LARGEST:
        raise InputError(f"a DICOM segmentation holds 4 GiB at most, got {size / 2**30:.1f}; write a .nii.gz")
    del header.PixelData
    header.Rows, header.Columns = rows, columns
    header.save_as(path)
    planes = (labels[:, :, place].T for place in places)
    if bits == 1:
        frames = _packed(np.equal(plane, number) for plane, number in zip(planes, _segments(header), strict=True))
    else:
        frames = (plane.astype(f"<u{bits // 8}").tobytes() for plane in planes)
    with path.open("ab") as file:
        tag = (_PIXEL_DATA >> 16, _PIXEL_DATA & 0xFFFF)
        file.write(struct.pack("<HH2sHL", *tag, kind.encode(), 0, size + size % 2))
        for frame in frames:
            file.write(frame)
        file.write(bytes(size % 2))


def _segments(header: Dataset) -> list[int]:
    """Returns the segment of each binary frame; highdicom notes a segmentation's only one once for all frames."""
    name, shared = "SegmentIdentificationSequence", header.SharedFunctionalGroupsSequence[0]
    groups = [functional_group(name, own, shared) for own in header.PerFrameFunctionalGroupsSequence]
    numbers = [int(group.ReferencedSegmentNumber) for group in groups if group is not None]
    if len(numbers) < len(groups) or 0 in numbers:
        raise RuntimeError("highdicom has made a binary frame without a segment")
    return numbers


def _packed(frames: Iterable[NDArray[np.bool_]]) -> Iterator[bytes]:
    """Yields the pixels of binary frames as bits: a frame begins in the byte in which the last one ends (PS3.5, 8.1.1).

    >>> [part.hex() for part in _packed([np.array([[True, False, True]])] * 3)]
    ['', '', '6d', '01']
    """
    rest = np.empty(0, np.bool_)
    for frame in frames:
        pixels = np.concatenate([rest, frame.ravel()])
        whole = pixels.size // 8 * 8
        yield np.packbits(pixels[:whole], bitorder="little").tobytes()
        rest = pixels[whole:]
    yield np.packbits(rest, bitorder="little").tobytes()
