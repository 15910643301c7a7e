"""Writes a label map as a DICOM segmentation (SEG) that lies on the frames of the series it was made of."""

from __future__ import annotations

import os
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..runtime.errors import InputError, MissingExtraError
from ..runtime.files.atomic import atomic_write
from ..runtime.scans.file_kind import is_dicom
from .codes import segment_code
from .series import DicomSeries

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription
    from pydicom import Dataset

SegmentationKind = Literal["LABELMAP", "BINARY"]

_SOFTWARE = "bedside"
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


def write_segmentation(
    path: str | os.PathLike[str],
    labels: NDArray[np.integer[Any]],
    names: Sequence[str],
    series: DicomSeries,
    *,
    bundle_sha256: str,
    kind: SegmentationKind = "LABELMAP",
    identity: ResultIdentity | None = None,
) -> None:
    """Writes a label map beside the series that it belongs to: same patient, study and frame of reference.

    Args:
        path: the file to write.
        labels: [X, Y, Z] label indices on the series' grid; planes of interpolated slices are left out.
        names: label names by index, the background first.
        series: the series that was segmented.
        bundle_sha256: hash of the bundle; it stands in the algorithm's parameters.
        kind: one frame per slice with all labels (Supplement 243), or one frame per slice and organ.
        identity: UIDs of the segmentation; None makes new ones.

    Raises:
        MissingExtraError: highdicom is not installed.
        InputError: a file of the series cannot be read, or was changed.
        ResourceError: the file cannot be written.
    """
    try:
        import highdicom
    except ImportError:
        raise MissingExtraError("highdicom", "dicom") from None
    identity = identity or ResultIdentity(highdicom.UID(), highdicom.UID())
    headers, planes = _frames(series, labels)
    with warnings.catch_warnings(), _refusals():
        warnings.simplefilter("ignore")  # highdicom's warnings show patients' names
        made = highdicom.seg.Segmentation(
            source_images=headers,
            pixel_array=planes,
            segmentation_type=kind,
            segment_descriptions=_descriptions(names, bundle_sha256),
            series_instance_uid=identity.series_uid,
            series_number=int(headers[0].get("SeriesNumber") or 0) + 1000,
            sop_instance_uid=identity.instance_uid,
            instance_number=identity.instance_number,
            manufacturer=_SOFTWARE,
            manufacturer_model_name=_SOFTWARE,
            software_versions=__version__,
            device_serial_number="0",
            content_label="SEGMENTATION",
            omit_empty_frames=kind == "BINARY",
        )
    made.SeriesDescription = f"{_SOFTWARE} {__version__}"
    with atomic_write(Path(path)) as temporary:
        made.save_as(temporary)


def is_own_segmentation(path: Path) -> bool:
    """Whether a file is a DICOM segmentation that bedside wrote."""
    if not is_dicom(path):
        return False
    header = _header(path)
    return header.get("Modality") == "SEG" and header.get("ManufacturerModelName") == _SOFTWARE


def _frames(series: DicomSeries, labels: NDArray[np.integer[Any]]) -> tuple[list[Dataset], NDArray[np.integer[Any]]]:
    """Returns the headers of the series' files, and the planes [N, rows, columns] in the order of their frames."""
    placed = [(frame, labels[:, :, place].T) for place, frame in enumerate(series.stack.slices) if frame is not None]
    files = list(dict.fromkeys(frame.path for frame, _ in placed))
    headers = [_header(file) for file in files]
    if len(files) < len(placed):  # one multi-frame file: its own order of frames
        placed.sort(key=lambda each: each[0].index or 0)
    _complete(headers)
    return headers, np.stack([plane for _, plane in placed])


def _header(file: Path) -> Dataset:
    import pydicom

    try:
        return pydicom.dcmread(file, stop_before_pixels=True, force=True)
    except Exception as error:  # pydicom raises whatever a damaged element causes; its message may hold values
        raise InputError(f'"{file.name}": damaged, or no DICOM ({type(error).__name__}); copy it again') from None


def _complete(headers: Sequence[Dataset]) -> None:
    """Fills in what anonymised files leave blank and a reference needs, the same for the same files."""
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
        if not header.get("SpecificCharacterSet"):  # blank is not allowed; absent is ASCII
            header.pop("SpecificCharacterSet", None)


@contextmanager
def _refusals() -> Generator[None]:
    """Says that a header does not permit a segmentation; the library's message may hold its values."""
    try:
        yield
    except Exception as error:
        raise InputError(
            f"a DICOM segmentation cannot refer to this series ({type(error).__name__}: an element of its header is "
            "not valid); write a .nii.gz"
        ) from None


def _descriptions(names: Sequence[str], bundle_sha256: str) -> list[SegmentDescription]:
    import highdicom
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=_SOFTWARE,
        version=__version__,
        family=codes.DCM.ArtificialIntelligence,
        parameters={"bundle_sha256": bundle_sha256},
    )
    described = []
    for number, name in enumerate(names[1:], start=1):
        organ, side = segment_code(name)
        segment = highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=name[:64],
            segmented_property_category=codes.SCT.AnatomicalStructure,
            segmented_property_type=organ,
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
        )
        if side is not None:
            modifier = CodedConcept(side.value, side.scheme_designator, side.meaning)
            segment.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [modifier]
        described.append(segment)
    return described
