"""Writes a label map as a DICOM segmentation (SEG) that lies on the frames of the series it was made of."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..runtime import arguments
from ..runtime.errors import InputError, MissingExtraError
from ..runtime.files.atomic import atomic_write
from .codes import label_text, segment_code
from .frames import Frame
from .functional_groups import share_planes
from .quiet import quiet_libraries
from .references import SOFTWARE, ResultIdentity, placed_frames, refusing, series_headers, series_number
from .result_arguments import ResultArguments
from .segmentation_pixels import stand_in, write_pixels
from .series import DicomSeries

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription
    from pydicom import Dataset

SegmentationKind = Literal["LABELMAP", "BINARY"]


@quiet_libraries()
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

    Beside the label map it takes memory for the headers of all files and frames, and for one frame's pixels.

    Args:
        path: the file to write; its name ends in .dcm.
        labels: [X, Y, Z] label indices, integers on the series' grid; planes of interpolated slices are left out.
        names: label names by index, the background first.
        series: the series that was segmented.
        bundle_sha256: hash of the bundle; it stands in the algorithm's parameters.
        kind: one frame per slice with all labels (Supplement 243), or one frame per slice and organ.
        identity: UIDs of the segmentation; None makes new ones.

    Raises:
        MissingExtraError: highdicom is not installed.
        UsageError: an argument has the wrong type, the label map another shape than the series, a label no name, or
            the file another ending.
        InputError: a file of the series cannot be read, or was changed; a multi-frame file is not the only file; or
            the segmentation is above 4 GiB.
        ResourceError: the file cannot be written.
    """
    try:
        import highdicom
    except ImportError:
        raise MissingExtraError("highdicom", "dicom") from None
    given = ResultArguments.checked(path, names, series, bundle_sha256, identity)
    labels, names = given.label_map(labels), given.names
    kind = cast("SegmentationKind", arguments.one_of("kind", kind, get_args(SegmentationKind)))
    identity = identity or ResultIdentity(highdicom.UID(), highdicom.UID())
    headers, placed = series_headers(series, names), placed_frames(series)
    if len(headers) < len(placed):  # one multi-frame file: its own order of frames
        placed.sort(key=lambda each: each[1].index or 0)
    planes = stand_in((labels[:, :, place].T for place, _ in placed), len(names) - 1)
    made = segmentation_header(headers, planes, names, bundle_sha256, kind, identity)
    with atomic_write(given.path) as temporary:
        write_pixels(temporary, made, labels, _places(made, placed))


def segmentation_header(
    headers: Sequence[Dataset],
    planes: NDArray[np.integer[Any]],
    names: Sequence[str],
    bundle_sha256: str,
    kind: SegmentationKind,
    identity: ResultIdentity,
) -> Dataset:
    """Returns a segmentation of small planes, whose pixels `write_pixels` replaces.

    Args:
        headers: headers of the series' files; their size becomes that of the planes.
        planes: [N, segments, 1] of each frame of the series, as `stand_in` makes them.
        names: as `write_segmentation` takes them, and what follows.
        bundle_sha256: likewise.
        kind: likewise.
        identity: likewise.

    Raises:
        InputError: a header permits no segmentation, or a multi-frame file is not the only file.
    """
    import highdicom

    if len(headers) > 1 and any("PerFrameFunctionalGroupsSequence" in header for header in headers):
        raise InputError(
            f"a DICOM segmentation refers to one multi-frame file alone, and the series has {len(headers)} files; "
            "write a .nii.gz"
        )
    with refusing("segmentation"):
        for header in headers:
            header.Rows, header.Columns = planes.shape[1:]
            _share_orientation(header, headers[0])
        made = highdicom.seg.Segmentation(
            source_images=headers,
            pixel_array=planes,
            segmentation_type=kind,
            segment_descriptions=_descriptions(names, bundle_sha256),
            series_instance_uid=identity.series_uid,
            series_number=series_number(headers[0], 1000),
            sop_instance_uid=identity.instance_uid,
            instance_number=identity.instance_number,
            manufacturer=SOFTWARE,
            manufacturer_model_name=SOFTWARE,
            software_versions=__version__,
            device_serial_number="0",
            content_label="SEGMENTATION",
            omit_empty_frames=kind == "BINARY",
        )
        made.SeriesDescription, made.ContentCreatorName = f"{SOFTWARE} {__version__}", ""  # dcmqi wants the latter
    return made


def _share_orientation(header: Dataset, first: Dataset) -> None:
    """Gives a header the orientation of the first one to the last digit, as highdicom demands.

    `Stack` has checked that all frames have the same, but for what scanners round.
    """
    if "PerFrameFunctionalGroupsSequence" in header:
        share_planes(header)
    else:
        header.ImageOrientationPatient = first.ImageOrientationPatient


def _places(made: Dataset, placed: Sequence[tuple[int, Frame]]) -> list[int]:
    """Returns the index along the grid's third axis of each frame of a segmentation, by its position."""
    positions = np.array([frame.position for _, frame in placed])
    groups = (each.PlanePositionSequence[0] for each in made.PerFrameFunctionalGroupsSequence)
    own = (np.array(each.ImagePositionPatient, float) for each in groups)
    return [placed[int(np.abs(positions - each).sum(1).argmin())][0] for each in own]


def _descriptions(names: Sequence[str], bundle_sha256: str) -> list[SegmentDescription]:
    import highdicom
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=SOFTWARE,
        version=__version__,
        family=codes.DCM.ArtificialIntelligence,
        parameters={"bundle_sha256": bundle_sha256},
    )
    described = []
    for number, name in enumerate(names[1:], start=1):
        organ, side = segment_code(name)
        segment = highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=label_text(name),
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
