"""The regions of an RT structure set, written behind its header contour by contour, so that memory holds one contour.

The transfer syntax is Implicit VR Little Endian, in which the length of a contour has 32 bits.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .frames import Frame

if TYPE_CHECKING:
    from pydicom import Dataset

_UNDEFINED = 0xFFFF_FFFF  # length of what ends with a delimiter (PS3.5, 7.5)
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD
_REGIONS, _CONTOURS, _REGION_NUMBER = 0x3006_0039, 0x3006_0040, 0x3006_0084
_KIND, _POINTS, _DATA = 0x3006_0042, 0x3006_0046, 0x3006_0050


@dataclass(frozen=True)
class Contour:
    """One closed contour.

    Attributes:
        points: [N, 2] rows and columns in a frame.
        frame: the frame that it lies in.
        image: the encoded element that refers to the frame, Contour Image Sequence.
    """

    points: NDArray[np.float64]
    frame: Frame
    image: bytes

    def encoded(self) -> bytes:
        """Returns the item of the sequence of contours."""
        frame = self.frame
        directions = np.array(frame.directions)
        places = (
            np.array(frame.position)
            + np.outer(self.points[:, 1] * frame.spacing[1], directions[:3])
            + np.outer(self.points[:, 0] * frame.spacing[0], directions[3:])
        )
        values = "\\".join(f"{value:.4f}" for value in places.ravel().tolist())
        content = (
            self.image + _text(_KIND, "CLOSED_PLANAR") + _text(_POINTS, str(len(self.points))) + _text(_DATA, values)
        )
        return _start(_ITEM, len(content)) + content


@dataclass(frozen=True)
class Region:
    """The contours of one organ.

    Attributes:
        number: ROI Number, from 1.
        colour: red, green, blue, 0 to 255.
        contours: yields its contours; none for an organ that is not there.
    """

    number: int
    colour: Sequence[int]
    contours: Iterable[Contour]

    def write(self, file: BinaryIO) -> None:
        """Writes the item of the sequence of regions."""
        file.write(_start(_ITEM) + _text(0x3006_002A, "\\".join(map(str, self.colour))))
        is_open = False
        for contour in self.contours:
            if not is_open:
                file.write(_start(_CONTOURS))
                is_open = True
            file.write(contour.encoded())
        if is_open:
            file.write(_start(_SEQUENCE_END, 0))
        file.write(_text(_REGION_NUMBER, str(self.number)) + _start(_ITEM_END, 0))


def write_regions(file: BinaryIO, regions: Iterable[Region]) -> None:
    """Writes ROI Contour Sequence; what precedes it in the order of tags has been written already."""
    file.write(_start(_REGIONS))
    for region in regions:
        region.write(file)
    file.write(_start(_SEQUENCE_END, 0))


def encoded(elements: Dataset, character_set: str | None = None) -> bytes:
    """Returns the elements of a data set as they stand in a file with a Specific Character Set; None for ASCII."""
    from pydicom.filebase import DicomIO
    from pydicom.filewriter import write_dataset

    content = BytesIO()
    file = DicomIO(content)
    file.is_little_endian = file.is_implicit_VR = True
    write_dataset(file, elements, character_set or "iso8859")
    return content.getvalue()


def _start(tag: int, length: int = _UNDEFINED) -> bytes:
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, length)


def _text(tag: int, value: str) -> bytes:
    """Returns an element of ASCII characters, padded to an even length by a space (PS3.5, 6.2)."""
    content = value.encode("ascii")
    content += b" " * (len(content) % 2)
    return _start(tag, len(content)) + content
