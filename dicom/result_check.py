"""Makes the headers of the DICOM results of a series before it is segmented, so that what fails there costs no work."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..runtime.errors import MissingExtraError
from .quiet import quiet_libraries
from .references import ResultIdentity, placed_frames, series_headers
from .series import DicomSeries


@quiet_libraries()
def check_results(
    series: DicomSeries, names: Sequence[str], *, segmentation: bool, report: bool = False, contours: bool = False
) -> None:
    """Checks that the headers of a series permit the results that the writers of `bedside.dicom` are asked for.

    It takes as much memory as `result_bytes` says, without the pixels.

    Args:
        series: the series that will be segmented.
        names: label names by index, the background first.
        segmentation: whether `write_segmentation` will be called.
        report: whether `write_report` will be, after a segmentation.
        contours: whether `write_structure_set` will be.

    Raises:
        MissingExtraError: a package is not installed.
        InputError: a file cannot be read, or its header permits no such result.
    """
    if not (segmentation or contours):
        return
    try:
        from pydicom.uid import generate_uid
    except ImportError:
        raise MissingExtraError("pydicom", "dicom") from None
    identity, digest = ResultIdentity(generate_uid(), generate_uid()), "0" * 64
    headers = series_headers(series, names)
    if contours:
        from .structure_set import around_regions

        around_regions(headers, names, digest, identity)
    if segmentation:
        from .segmentation import segmentation_header

        planes = np.zeros((len(placed_frames(series)), len(names) - 1, 1), np.uint8)
        segments = segmentation_header(headers, planes, names, digest, "LABELMAP", identity)
        if report:
            from .report import report_of

            report_of(headers, segments, dict.fromkeys(names, 0.0), names, digest, identity)
