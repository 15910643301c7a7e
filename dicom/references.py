"""What the DICOM results of a series have in common: its headers, their own UIDs, and how unfit headers are refused."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime import arguments
from ..runtime.errors import BedsideError, InputError
from ..runtime.files.hashing import file_sha256
from ..runtime.scans.file_kind import is_dicom
from ..runtime.shortage import raise_shortage
from .bounded_file import BoundedFile
from .frames import Frame
from .quiet import quiet_libraries
from .series import DicomSeries

if TYPE_CHECKING:
    from pydicom import Dataset, FileDataset

SOFTWARE = "bedside"
_BLANK = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber",
          "StudyID", "ReferringPhysicianName")  # fmt: skip
_SEXES = ("M", "F", "O")  # PS3.3, C.7.1.1


@dataclass(frozen=True)
class ResultIdentity:
    """The UIDs of a result that is made for a series, where the caller gives them.

    Attributes:
        series_uid: Series Instance UID of the result's own series.
        instance_uid: SOP Instance UID of the result.
        instance_number: which result of its series it is, from 1; the highest holds.
    """

    series_uid: str
    instance_uid: str
    instance_number: int = 1


def read_header(file: Path) -> FileDataset:
    """Reads all of a DICOM file but its pixels.

    Raises:
        InputError: it is damaged.
        ResourceError: memory or file descriptors ran out, or the disk failed.
    """
    import pydicom

    try:
        with quiet_libraries(), BoundedFile(file) as opened:
            return pydicom.dcmread(opened, stop_before_pixels=True, force=True)
    except Exception as error:  # pydicom raises whatever a damaged element causes; its message may hold values
        raise_shortage(error, f'"{file.name}"')
        raise InputError(f'"{file.name}": damaged, or no DICOM ({type(error).__name__}); copy it again') from None


def complete_headers(headers: Sequence[FileDataset], names: Sequence[str] = (), slice_mm: float = 1.0) -> None:
    """Fills in what anonymised files leave blank and a reference needs, the same for the same files.

    What DICOM allows and highdicom does not is written in another way: texts that change their character set on the way
    (ISO 2022) in UTF-8, and times and dates of DICOM's predecessor without their colons and points (PS3.5, 6.2). A
    date, time or sex that is none becomes blank.

    Args:
        headers: headers of files; they are changed.
        names: texts that the result adds; where one is not ASCII, all texts are written in UTF-8.
        slice_mm: distance of the slices in mm, in place of a Slice Thickness that is missing.

    Raises:
        InputError: a header does not say what kind of object it is.
    """
    from pydicom.uid import generate_uid
    from pydicom.valuerep import DA, TM

    for header in headers:
        header.SOPClassUID = header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID")
        if not header.SOPClassUID:
            raise InputError("a file of the series has no SOPClassUID, so no result refers to it; write a .nii.gz")
        header.SOPInstanceUID = (
            header.get("SOPInstanceUID")
            or header.file_meta.get("MediaStorageSOPInstanceUID")
            or generate_uid(entropy_srcs=["SOPInstanceUID", file_sha256(Path(str(header.filename)))])
        )
    instances = [str(header.SOPInstanceUID) for header in headers]
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        uid = headers[0].get(name) or generate_uid(entropy_srcs=[name, *instances])
        for header in headers:
            setattr(header, name, uid)
    for header in headers:
        for name in _BLANK:
            if name not in header:
                setattr(header, name, "")
        header.PatientSex = header.PatientSex if header.PatientSex in _SEXES else ""
        header.StudyTime = _valid(TM, str(header.StudyTime or "").replace(":", ""))
        for name in ("StudyDate", "PatientBirthDate"):
            setattr(header, name, _valid(DA, str(header.get(name) or "").replace(".", "")))
        if "SharedFunctionalGroupsSequence" not in header and not header.get("SliceThickness"):
            header.SliceThickness = round(slice_mm, 6)
        _use_utf8_where_needed(header, names)


def _valid(kind: Callable[[str], object], text: str) -> str:
    """Returns a date or time as it is; blank where it is none."""
    try:
        kind(text)
    except ValueError:
        return ""
    return text


def _use_utf8_where_needed(header: Dataset, names: Sequence[str]) -> None:
    sets = header.get("SpecificCharacterSet")
    changes = bool(sets) and (not isinstance(sets, str) or sets.startswith("ISO 2022"))
    if changes or not all(name.isascii() for name in names):
        header.decode()
        header.SpecificCharacterSet = "ISO_IR 192"
    elif not sets:  # blank is not allowed; absent is ASCII
        header.pop("SpecificCharacterSet", None)


def series_number(header: Dataset, beyond: int) -> int:
    """Returns a number for a series of results: that of a header's series and some more, as far as it has a valid one.

    Args:
        header: a header of the series.
        beyond: how far beyond it, at least 1.
    """
    text = str(header.get("SeriesNumber") or "")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    return number + beyond


@contextmanager
def refusing(what: str) -> Generator[None]:
    """Says that a header does not permit a result, such as "segmentation"; the library's message may hold its values.

    Its warnings are left out, because they show patients' names.

    Raises:
        BedsideError: the block raised it.
        InputError: a library raised an error in the block.
        ResourceError: memory or file descriptors ran out, or the disk failed.
    """
    try:
        with quiet_libraries():
            yield
    except BedsideError:
        raise
    except Exception as error:
        raise_shortage(error, f"a DICOM {what}")
        raise InputError(
            f"a DICOM {what} cannot refer to this series ({type(error).__name__}: an element of its header is "
            "not valid); write a .nii.gz"
        ) from None


def placed_frames(series: DicomSeries) -> list[tuple[int, Frame]]:
    """Returns the frames of a series that are there, each with its index along the grid's third axis."""
    return [(place, frame) for place, frame in enumerate(series.stack.slices) if frame is not None]


@quiet_libraries()
def series_headers(series: DicomSeries, names: Sequence[str] = ()) -> list[FileDataset]:
    """Returns the headers of a series' files, with what a reference needs filled in.

    Args:
        series: the series.
        names: label names that the result will hold beside what the headers hold.

    Raises:
        InputError: a file is damaged, or its header permits no reference.
    """
    headers = [read_header(file) for file in dict.fromkeys(frame.path for _, frame in placed_frames(series))]
    with refusing("result"):
        complete_headers(headers, names, series.grid.spacing[2])
    return headers


@quiet_libraries()
def is_own_result(path: str | os.PathLike[str], *modalities: str) -> bool:
    """Whether bedside wrote a file, as a result of one of these modalities; SEG, SR or RTSTRUCT where none is given.

    Raises:
        UsageError: ``path`` is no path.
        InputError: the file is damaged.
        ResourceError: memory or file descriptors ran out, or the disk failed.
    """
    file = arguments.path("path", path)
    if not is_dicom(file):
        return False
    header = read_header(file)
    return (
        header.get("Modality") in (modalities or ("SEG", "SR", "RTSTRUCT"))
        and header.get("ManufacturerModelName") == SOFTWARE
    )
