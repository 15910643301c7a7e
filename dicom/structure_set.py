"""Writes a label map as an RT Structure Set (RTSTRUCT): a region for each organ, with contours in every slice."""

from __future__ import annotations

import colorsys
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..runtime.errors import MissingExtraError
from ..runtime.files.atomic import atomic_write
from .codes import label_text, segment_code
from .contour_writer import Contour, Region, encoded, write_regions
from .frames import Frame
from .outlines import outlines
from .quiet import quiet_libraries
from .references import SOFTWARE, ResultIdentity, placed_frames, refusing, series_headers, series_number
from .result_arguments import ResultArguments
from .series import DicomSeries

if TYPE_CHECKING:
    from pydicom import Dataset

_STORAGE = "1.2.840.10008.5.1.4.1.1.481.3"
_STUDY = "1.2.840.10008.3.1.2.3.1"  # Detached Study Management, retired, which the standard still wants here
_OF_THE_PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
_OF_THE_STUDY = ("StudyInstanceUID", "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber")
_WHERE_PRESENT = ("IssuerOfPatientID", "StudyDescription")  # the segmentation and the report have them, too


@quiet_libraries()
def write_structure_set(
    path: str | os.PathLike[str],
    labels: NDArray[np.integer[Any]],
    names: Sequence[str],
    series: DicomSeries,
    *,
    bundle_sha256: str,
    identity: ResultIdentity | None = None,
) -> None:
    """Writes the contours of a label map, along the edges of its pixels: they enclose exactly its area in each slice.

    Beside the label map it takes memory for the headers of all files, and for the contours of one plane.

    Args:
        path: the file to write; its name ends in .dcm.
        labels: [X, Y, Z] label indices, integers on the series' grid; planes of interpolated slices are left out.
        names: label names by index, the background first.
        series: the series that was segmented.
        bundle_sha256: hash of the bundle; it stands in the description of every region.
        identity: UIDs of the structure set; None makes new ones.

    Raises:
        MissingExtraError: pydicom is not installed.
        UsageError: an argument has the wrong type, the label map another shape than the series, a label no name, or
            the file another ending.
        InputError: a file of the series cannot be read, or its header permits no structure set.
        ResourceError: the file cannot be written.
    """
    try:
        from pydicom.uid import generate_uid
    except ImportError:
        raise MissingExtraError("pydicom", "dicom") from None
    given = ResultArguments.checked(path, names, series, bundle_sha256, identity)
    labels, names = given.label_map(labels), given.names
    identity = identity or ResultIdentity(generate_uid(), generate_uid())
    headers, placed = series_headers(series, names), placed_frames(series)
    uids = dict(zip(dict.fromkeys(frame.path for _, frame in placed), headers, strict=True))
    before, behind = around_regions(headers, names, bundle_sha256, identity)
    images = [encoded(_reference(frame, uids[frame.path])) for _, frame in placed]
    regions = (
        Region(number, _colour(number, len(names)), _contours(labels, number, placed, images))
        for number in range(1, len(names))
    )
    with atomic_write(given.path) as temporary, temporary.open("wb") as file:
        file.write(before)
        write_regions(file, regions)
        file.write(behind)


def around_regions(
    headers: Sequence[Dataset], names: Sequence[str], bundle_sha256: str, identity: ResultIdentity
) -> tuple[bytes, bytes]:
    """Returns what stands before and behind the regions of a structure set.

    Args:
        headers: headers of the series' files.
        names: as `write_structure_set` takes them, and what follows.
        bundle_sha256: likewise.
        identity: likewise.

    Raises:
        InputError: a header permits no structure set.
    """
    with refusing("structure set"):
        made = _common(headers[0], identity)
        made.ReferencedFrameOfReferenceSequence = [_frame_of_reference(headers)]
        made.StructureSetROISequence = [
            _region(number, name, headers[0].FrameOfReferenceUID, bundle_sha256)
            for number, name in enumerate(names[1:], start=1)
        ]
        before = BytesIO()
        made.save_as(before, enforce_file_format=True)
        observations = [_observation(number, name) for number, name in enumerate(names[1:], start=1)]
        behind = encoded(
            _item(RTROIObservationsSequence=observations, ApprovalStatus="UNAPPROVED"), made.get("SpecificCharacterSet")
        )
    return before.getvalue(), behind


def _contours(
    labels: NDArray[np.integer[Any]], number: int, placed: Sequence[tuple[int, Frame]], images: Sequence[bytes]
) -> Iterator[Contour]:
    """Yields the contours of one label, slice by slice."""
    for (place, frame), image in zip(placed, images, strict=True):
        for points in outlines(np.equal(labels[:, :, place].T, number)):
            yield Contour(points, frame, image)


def _common(header: Dataset, identity: ResultIdentity) -> Dataset:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, ImplicitVRLittleEndian

    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian  # a long contour exceeds the 64 KiB of explicit ones
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = UID(_STORAGE)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = UID(identity.instance_uid)
    for name in (*_OF_THE_PATIENT, *_OF_THE_STUDY):
        setattr(made, name, header.get(name) or "")
    for name in _WHERE_PRESENT:
        if header.get(name):
            setattr(made, name, header.get(name))
    if header.get("SpecificCharacterSet"):
        made.SpecificCharacterSet = header.SpecificCharacterSet
    now = datetime.now()
    made.Modality, made.SeriesInstanceUID = "RTSTRUCT", identity.series_uid
    made.SeriesNumber = series_number(header, 2000)
    made.SeriesDescription, made.OperatorsName = f"{SOFTWARE} {__version__}", ""
    made.InstanceNumber = identity.instance_number
    made.Manufacturer = made.ManufacturerModelName = SOFTWARE
    made.SoftwareVersions = __version__
    made.StructureSetLabel = "SEGMENTATION"
    made.InstanceCreationDate = made.StructureSetDate = now.strftime("%Y%m%d")
    made.InstanceCreationTime = made.StructureSetTime = now.strftime("%H%M%S")
    made.FrameOfReferenceUID, made.PositionReferenceIndicator = header.FrameOfReferenceUID, ""
    return made


def _frame_of_reference(headers: Sequence[Dataset]) -> Dataset:
    series = _item(
        SeriesInstanceUID=headers[0].SeriesInstanceUID,
        ContourImageSequence=[_image(header) for header in headers],
    )
    study = _item(
        ReferencedSOPClassUID=_STUDY,
        ReferencedSOPInstanceUID=headers[0].StudyInstanceUID,
        RTReferencedSeriesSequence=[series],
    )
    return _item(FrameOfReferenceUID=headers[0].FrameOfReferenceUID, RTReferencedStudySequence=[study])


def _region(number: int, name: str, frame_of_reference: str, bundle_sha256: str) -> Dataset:
    return _item(
        ROINumber=number,
        ReferencedFrameOfReferenceUID=frame_of_reference,
        ROIName=label_text(name),
        ROIDescription=f"bundle {bundle_sha256}"[:1024],
        ROIGenerationAlgorithm="AUTOMATIC",
        ROIGenerationDescription=f"{SOFTWARE} {__version__}",
    )


def _observation(number: int, name: str) -> Dataset:
    organ, side = segment_code(name)
    code = _item(CodeValue=organ.value, CodingSchemeDesignator=organ.scheme_designator, CodeMeaning=organ.meaning)
    if side is not None:
        modifier = _item(CodeValue=side.value, CodingSchemeDesignator=side.scheme_designator, CodeMeaning=side.meaning)
        code.SegmentedPropertyTypeModifierCodeSequence = [modifier]
    return _item(
        ObservationNumber=number,
        ReferencedROINumber=number,
        RTROIIdentificationCodeSequence=[code],
        RTROIInterpretedType="ORGAN",
        ROIInterpreter="",
    )


def _colour(number: int, count: int) -> list[int]:
    return [round(255 * part) for part in colorsys.hsv_to_rgb(number / count, 0.8, 0.9)]


def _reference(frame: Frame, header: Dataset) -> Dataset:
    """Returns the element by which a contour refers to its frame."""
    image = _image(header)
    if frame.index is not None:
        image.ReferencedFrameNumber = frame.index + 1
    return _item(ContourImageSequence=[image])


def _image(header: Dataset) -> Dataset:
    return _item(ReferencedSOPClassUID=header.SOPClassUID, ReferencedSOPInstanceUID=header.SOPInstanceUID)


def _item(**elements: Any) -> Dataset:
    from pydicom.dataset import Dataset

    made = Dataset()
    for name, value in elements.items():
        setattr(made, name, value)
    return made
