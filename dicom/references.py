"""What the DICOM results of a series have in common: its headers, their own UIDs, and how unfit headers are refused."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.errors import InputError
from ..runtime.scans.file_kind import is_dicom
from .frames import Frame
from .quiet import quiet_libraries
from .series import DicomSeries

if TYPE_CHECKING:
    from pydicom import Dataset

SOFTWARE = "bedside"
_BLANK = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber",
          "StudyID", "ReferringPhysicianName")  # fmt: skip


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


def read_header(file: Path) -> Dataset:
    """Reads all of a DICOM file but its pixels.

    Raises:
        InputError: it is damaged.
    """
    import pydicom

    try:
        with quiet_libraries():
            return pydicom.dcmread(file, stop_before_pixels=True, force=True)
    except Exception as error:  # pydicom raises whatever a damaged element causes; its message may hold values
        raise InputError(f'"{file.name}": damaged, or no DICOM ({type(error).__name__}); copy it again') from None


def complete_headers(headers: Sequence[Dataset]) -> None:
    """Fills in what anonymised files leave blank and a reference needs, the same for the same files.

    What DICOM allows and highdicom does not is written in another way: texts that change their character set on the way
    (ISO 2022) in UTF-8, and times and dates of DICOM's predecessor without their colons and points (PS3.5, 6.2).
    """
    from pydicom.uid import generate_uid

    for header in headers:
        header.SOPClassUID = header.get("SOPClassUID") or header.file_meta.MediaStorageSOPClassUID
        header.SOPInstanceUID = header.get("SOPInstanceUID") or header.file_meta.MediaStorageSOPInstanceUID
    instances = [str(header.SOPInstanceUID) for header in headers]
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        uid = headers[0].get(name) or generate_uid(entropy_srcs=[name, *instances])
        for header in headers:
            setattr(header, name, uid)
    for header in headers:
        for name in _BLANK:
            if name not in header:
                setattr(header, name, "")
        header.StudyTime = str(header.StudyTime).replace(":", "")
        header.StudyDate = str(header.StudyDate).replace(".", "")
        _use_utf8_for_several_sets(header)


def _use_utf8_for_several_sets(header: Dataset) -> None:
    sets = header.get("SpecificCharacterSet")
    if not sets:  # blank is not allowed; absent is ASCII
        header.pop("SpecificCharacterSet", None)
    elif not isinstance(sets, str) or sets.startswith("ISO 2022"):
        header.decode()
        header.SpecificCharacterSet = "ISO_IR 192"


@contextmanager
def refusing(what: str) -> Generator[None]:
    """Says that a header does not permit a result, such as "segmentation"; the library's message may hold its values.

    Its warnings are left out, because they show patients' names.

    Raises:
        InputError: the block raised anything.
    """
    try:
        with quiet_libraries():
            yield
    except Exception as error:
        raise InputError(
            f"a DICOM {what} cannot refer to this series ({type(error).__name__}: an element of its header is "
            "not valid); write a .nii.gz"
        ) from None


def placed_frames(series: DicomSeries) -> list[tuple[int, Frame]]:
    """Returns the frames of a series that are there, each with its index along the grid's third axis."""
    return [(place, frame) for place, frame in enumerate(series.stack.slices) if frame is not None]


@quiet_libraries()
def series_headers(series: DicomSeries) -> list[Dataset]:
    """Returns the headers of a series' files, with what a reference needs filled in.

    Raises:
        InputError: a file is damaged.
    """
    headers = [read_header(file) for file in dict.fromkeys(frame.path for _, frame in placed_frames(series))]
    complete_headers(headers)
    return headers


@quiet_libraries()
def is_own_result(path: Path) -> bool:
    """Whether a file is a DICOM segmentation, report or structure set that bedside wrote."""
    if not is_dicom(path):
        return False
    header = read_header(path)
    return header.get("Modality") in ("SEG", "SR", "RTSTRUCT") and header.get("ManufacturerModelName") == SOFTWARE
