"""Writes the organs' volumes as a DICOM structured report (TID 1500) that refers to their segmentation."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..runtime.errors import MissingExtraError
from ..runtime.files.atomic import atomic_write
from .codes import label_text, segment_code
from .quiet import quiet_libraries
from .references import SOFTWARE, ResultIdentity, refusing, series_headers, series_number
from .result_arguments import ResultArguments
from .series import DicomSeries

if TYPE_CHECKING:
    from pydicom import Dataset


@quiet_libraries()
def write_report(
    path: str | os.PathLike[str],
    volumes_ml: Mapping[str, float],
    names: Sequence[str],
    series: DicomSeries,
    segmentation: str | os.PathLike[str],
    *,
    bundle_sha256: str,
    identity: ResultIdentity | None = None,
) -> None:
    """Writes a measurement report: the volume of every organ, each with its segment and the series behind it.

    Args:
        path: the file to write; its name ends in .dcm.
        volumes_ml: label name → millilitres, as in `Result.volumes_ml`.
        names: label names by index, the background first.
        series: the series that was segmented.
        segmentation: the DICOM segmentation that `write_segmentation` made of it.
        bundle_sha256: hash of the bundle; it stands in the algorithm's parameters.
        identity: UIDs of the report; None makes new ones.

    Raises:
        MissingExtraError: highdicom is not installed.
        UsageError: an argument has the wrong type, a label has no volume or a volume no label, the file has another
            ending, or the segmentation is none of this series with these labels.
        InputError: a file of the series cannot be read, or its header permits no report.
        ResourceError: the file cannot be written.
    """
    try:
        import highdicom
    except ImportError:
        raise MissingExtraError("highdicom", "dicom") from None
    given = ResultArguments.checked(path, names, series, bundle_sha256, identity)
    volumes_ml, names = given.volumes(volumes_ml), given.names
    identity = identity or ResultIdentity(highdicom.UID(), highdicom.UID())
    headers = series_headers(series, names)
    segments = given.segmentation(segmentation, headers)
    made = report_of(headers, segments, volumes_ml, names, bundle_sha256, identity, series.stack.missing)
    with atomic_write(given.path) as temporary:
        made.save_as(temporary)


def report_of(
    headers: Sequence[Dataset],
    segments: Dataset,
    volumes_ml: Mapping[str, float],
    names: Sequence[str],
    bundle_sha256: str,
    identity: ResultIdentity,
    interpolated: int = 0,
) -> Dataset:
    """Returns a report.

    Args:
        headers: headers of the series' files.
        segments: header of the segmentation.
        volumes_ml: as `write_report` takes them, and what follows.
        names: likewise.
        bundle_sha256: likewise.
        identity: likewise.
        interpolated: number of slices that were missing and are interpolated: the volumes count them, the segments,
            whose frames refer to files, do not.

    Raises:
        InputError: a header permits no report.
    """
    import highdicom

    parameters = [f"bundle_sha256 {bundle_sha256}"]
    if interpolated:
        parameters.append(f"interpolated_slices {interpolated}")
    with refusing("report"):
        made = highdicom.sr.Comprehensive3DSR(
            evidence=[*headers, segments],
            content=_content(volumes_ml, names, headers[0], segments, parameters),
            series_instance_uid=identity.series_uid,
            series_number=series_number(headers[0], 3000),
            sop_instance_uid=identity.instance_uid,
            instance_number=identity.instance_number,
            manufacturer=SOFTWARE,
            is_complete=True,
        )
        made.SeriesDescription = f"{SOFTWARE} {__version__}"
        made.ManufacturerModelName, made.SoftwareVersions = SOFTWARE, __version__
    return made


def _content(
    volumes_ml: Mapping[str, float],
    names: Sequence[str],
    header: Dataset,
    segments: Dataset,
    parameters: Sequence[str],
) -> Any:
    from highdicom import UID, sr
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    millilitre = Code("ml", "UCUM", "milliliter")  # CID 7462
    algorithm = sr.AlgorithmIdentification(SOFTWARE, __version__, parameters=[*parameters])
    groups = []
    for number, name in enumerate(names[1:], start=1):
        organ, side = segment_code(name)
        groups.append(
            sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
                tracking_identifier=sr.TrackingIdentifier(UID(), label_text(name)),
                referenced_segment=sr.ReferencedSegment(
                    segments.SOPClassUID,
                    segments.SOPInstanceUID,
                    number,
                    source_series=sr.SourceSeriesForSegmentation(header.SeriesInstanceUID),
                ),
                finding_type=codes.SCT.AnatomicalStructure,
                finding_sites=[sr.FindingSite(organ, laterality=side)],
                algorithm_id=algorithm,
                measurements=[sr.Measurement(codes.SCT.Volume, round(volumes_ml[name], 4), millilitre)],
            )
        )
    device = sr.DeviceObserverIdentifyingAttributes(UID(), SOFTWARE, SOFTWARE, f"{SOFTWARE} {__version__}")
    return sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=sr.ObserverContext(codes.DCM.Device, device)),
        procedure_reported=codes.SCT.ImagingProcedure,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
