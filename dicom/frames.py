"""The frames of DICOM files: where each lies in the patient, and what its stored values mean; pixels stay unread."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..runtime.errors import InputError, MissingExtraError
from ..runtime.scans.byte_stream import Identity
from ..runtime.shortage import raise_shortage
from .bounded_file import BoundedFile
from .functional_groups import functional_group
from .quiet import quiet_libraries

if TYPE_CHECKING:
    from pydicom import Dataset

Numbers = tuple[float, ...]

_TAGS: list[str] = [
    "SOPClassUID", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "InstanceNumber",
    "Modality", "ImageType", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "ImagePositionPatient",
    "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
]  # fmt: skip
# Segmentations, label maps and doses have pixels, but are results, not scans (PS3.6, table A-1).
_RESULTS = {
    "1.2.840.10008.5.1.4.1.1.66.4",
    "1.2.840.10008.5.1.4.1.1.66.7",
    "1.2.840.10008.5.1.4.1.1.481.2",
    "1.2.840.10008.5.1.4.1.1.30",
}
_PLACE = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
_GREY = ("MONOCHROME2", "MONOCHROME1")
# CT, MR and PET, each of one slice, enhanced, and enhanced from older files.
SCAN_CLASSES = {
    *(f"1.2.840.10008.5.1.4.1.1.2{part}" for part in ("", ".1", ".2")),
    *(f"1.2.840.10008.5.1.4.1.1.4{part}" for part in ("", ".1", ".4")),
    *(f"1.2.840.10008.5.1.4.1.1.1{part}" for part in ("28", "30", "28.1")),
}


@dataclass(frozen=True)
class Frame:
    """One slice: a file, or a frame of a multi-frame file.

    Attributes:
        path: the file.
        index: number of the frame in its file, from 0; None where the file is one slice.
        identity: identity of the file when its header was read.
        number: Instance Number, or the number of the frame from 1; for messages.
        series: Series Instance UID; empty where the file has none.
        key: hash of patient, study and series: files with the same belong together.
        modality: Modality, such as ``CT``.
        frame_of_reference: Frame of Reference UID; empty where the file has none.
        size: rows and columns.
        position: centre of the first pixel, x, y, z in mm, in DICOM's axes (to the left, to the back, to the head).
        directions: direction of a row, then of a column, each x, y, z.
        spacing: distance of rows, then of columns, in mm.
        stored: type of the stored values.
        slope: factor from stored to real values.
        intercept: value added after the factor.
        has_table: whether a table (Modality LUT) and no line converts stored to real values.
    """

    path: Path
    index: int | None
    identity: Identity
    number: int
    series: str
    key: str
    modality: str
    frame_of_reference: str
    size: tuple[int, int]
    position: Numbers
    directions: Numbers
    spacing: Numbers
    stored: np.dtype[Any]
    slope: float
    intercept: float
    has_table: bool

    @property
    def is_scaled(self) -> bool:
        """Whether stored and real values differ."""
        return self.has_table or (self.slope, self.intercept) != (1.0, 0.0)


@dataclass(frozen=True)
class NoScan:
    """A DICOM file that is no slice of a scan.

    Attributes:
        path: the file.
        series: Series Instance UID.
        key: as that of a frame.
        modality: Modality, such as ``SEG``.
        reason: what it is instead.
    """

    path: Path
    series: str
    key: str
    modality: str
    reason: str


class SliceError(InputError):
    """A file is a slice of a series, and lacks what the geometry or the values need.

    Args:
        message: the line; it names the file.
        origin: series, key and modality of the file, as those of a frame.
    """

    def __init__(self, message: str, origin: tuple[str, str, str]) -> None:
        super().__init__(message)
        self.series, self.key, self.modality = origin


def read_frames(path: Path) -> list[Frame] | NoScan:
    """Reads the header of a DICOM file.

    Args:
        path: a DICOM file, with or without the preamble of PS3.10.

    Returns:
        Its frames, or what it is where it is no slice of a scan: a localiser, a report, a segmentation.

    Raises:
        MissingExtraError: pydicom is not installed.
        SliceError: the file lacks what the geometry or the values need.
        InputError: the file is damaged, so that nothing says of which series it is.
        ResourceError: memory or file descriptors ran out, or the disk failed.
    """
    try:
        import pydicom
    except ImportError:
        raise MissingExtraError("pydicom", "dicom") from None
    try:
        with quiet_libraries():
            identity = Identity.of(path.stat())
            with BoundedFile(path) as file:
                header = pydicom.dcmread(file, stop_before_pixels=True, force=True, specific_tags=_TAGS)
            return _read(path, identity, header)
    except InputError:
        raise
    except OSError as error:
        raise_shortage(error, f'"{path.name}"')
        raise InputError(f'"{path.name}": cannot be read ({error.strerror or "damaged"}); copy it again') from None
    except Exception as error:  # pydicom raises whatever a damaged element causes; its message may hold values
        raise_shortage(error, f'"{path.name}"')
        raise InputError(f'"{path.name}": damaged, or no DICOM ({type(error).__name__}); copy it again') from None


class _MissingError(Exception):
    """An attribute that is not there, or not what it should be; its name is the message."""


def _read(path: Path, identity: Identity, header: Dataset) -> list[Frame] | NoScan:
    origin = _uid(header, "SeriesInstanceUID"), _key(header), str(header.get("Modality", ""))
    try:
        reason = _no_scan(header)
        return NoScan(path, *origin, reason) if reason else list(_frames(path, identity, origin, header))
    except _MissingError as missing:
        message = f'"{path.name}": the DICOM header has no valid {missing}; export the series again'
        if "Rows" not in header:  # it may be cut off within the UID of its series, which stands before
            raise InputError(message) from None
        raise SliceError(message, origin) from None


def _no_scan(header: Dataset) -> str:
    """Returns what a file is that is no slice of a scan; empty for a slice."""
    kind = header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID")
    if kind in _RESULTS:
        return "a result, not a scan"
    lacking = [name for name in ("Rows", "Columns", "BitsAllocated") if name not in header]
    if lacking:
        if not kind or kind in SCAN_CLASSES:  # cut off within its header
            raise _MissingError(" and ".join(lacking))
        return "no image"  # spectra have rows and columns, too
    if any("LOCALIZER" in str(value).upper() for value in _values(header.get("ImageType"))):
        return "a localiser"
    if int(header.get("SamplesPerPixel", 1)) != 1 or header.get("PhotometricInterpretation", _GREY[0]) not in _GREY:
        return "a colour image"
    return "" if _has_a_place(header) else "an image without a place in the patient"


def _has_a_place(header: Dataset) -> bool:
    """Whether a slice, or any frame of a file, has a place in the patient."""
    frames = header.get("PerFrameFunctionalGroupsSequence")
    if frames is None:
        return "ImagePositionPatient" in header
    shared = _shared(header)
    return not frames or any(functional_group(_PLACE[0], own, shared) is not None for own in frames)


def _shared(header: Dataset) -> Dataset | None:
    return next(iter(header.get("SharedFunctionalGroupsSequence") or ()), None)


def _frames(path: Path, identity: Identity, origin: tuple[str, str, str], header: Dataset) -> Iterator[Frame]:
    series, key, modality = origin
    common = {
        "path": path,
        "identity": identity,
        "series": series,
        "key": key,
        "modality": modality,
        "frame_of_reference": _uid(header, "FrameOfReferenceUID"),
        "size": (_whole(header, "Rows"), _whole(header, "Columns")),
        "stored": _stored(header),
    }
    count = int(header.get("NumberOfFrames") or 1)
    if "PerFrameFunctionalGroupsSequence" in header:
        if count != len(header.PerFrameFunctionalGroupsSequence):
            raise _MissingError("NumberOfFrames, which counts other frames than have a place,")
        shared = _shared(header)
        for index, own in enumerate(header.PerFrameFunctionalGroupsSequence):
            place = _place(*(functional_group(name, own, shared) for name in _PLACE))
            values = functional_group("PixelValueTransformationSequence", own, shared)
            scaling = _scaling(header if values is None else values)
            yield Frame(**common, index=index, number=index + 1, **place, **scaling)
        return
    if count != 1:
        raise _MissingError("PerFrameFunctionalGroupsSequence")
    number = int(header.get("InstanceNumber") or 0)
    yield Frame(**common, index=None, number=number, **_place(header, header, header), **_scaling(header))


def _place(position: Dataset | None, orientation: Dataset | None, measures: Dataset | None) -> dict[str, Any]:
    spacing = _numbers(measures, "PixelSpacing", 2)
    if min(spacing) <= 0:
        raise _MissingError("PixelSpacing")
    return {
        "position": _numbers(position, "ImagePositionPatient", 3),
        "directions": _numbers(orientation, "ImageOrientationPatient", 6),
        "spacing": spacing,
    }


def _scaling(header: Dataset) -> dict[str, Any]:
    slope, intercept = header.get("RescaleSlope"), header.get("RescaleIntercept")
    if (slope is None) != (intercept is None):
        raise _MissingError("RescaleSlope and RescaleIntercept, of which it has one")
    values = (1.0, 0.0) if slope is None else (float(slope), float(intercept))
    if not np.isfinite(values).all() or values[0] == 0:
        raise _MissingError("RescaleSlope")
    return {"slope": values[0], "intercept": values[1], "has_table": bool(header.get("ModalityLUTSequence"))}


def _stored(header: Dataset) -> np.dtype[Any]:
    bits = _whole(header, "BitsAllocated")
    if bits not in (8, 16, 32):
        raise _MissingError("BitsAllocated (8, 16 or 32)")
    used = int(header.get("BitsStored") or bits)
    if used > bits or int(header.get("HighBit", used - 1)) != used - 1:  # PS3.5, 8.1.1
        raise _MissingError("HighBit (one less than BitsStored)")
    return np.dtype(f"{'i' if header.get('PixelRepresentation', 0) else 'u'}{bits // 8}")


def _numbers(header: Dataset | None, name: str, count: int) -> Numbers:
    values = tuple(float(value) for value in _values(None if header is None else header.get(name)))
    if len(values) != count or not np.isfinite(values).all():
        raise _MissingError(name)
    return values


def _whole(header: Dataset, name: str) -> int:
    value = int(header.get(name) or 0)
    if value < 1:
        raise _MissingError(name)
    return value


def _uid(header: Dataset, name: str) -> str:
    """Returns an identifier; empty where the files were anonymised with blanks."""
    return str(header.get(name) or "").strip()


def _key(header: Dataset) -> str:
    names = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
    return hashlib.sha256("\0".join(_uid(header, name) for name in names).encode("utf-8", "replace")).hexdigest()


def _values(value: Any) -> tuple[Any, ...]:
    return () if value is None else (value,) if isinstance(value, str | float | int) else tuple(value)
