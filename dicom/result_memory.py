"""How much memory the DICOM results of a series take while they are written, so that it can be reserved beforehand."""

from __future__ import annotations

from .series import DicomSeries

# Measured for 512×512×400 voxels and 14 organs: segmentation 135 MiB, report 134, both one after the other 135, most
# of it highdicom and its tables of attributes, once; structure set 21.
_HIGHDICOM_BYTES = 160 * 2**20
_PYDICOM_BYTES = 64 * 2**20
_FILE_BYTES = 128 * 2**10  # 12 to 30 KiB were measured for each file and its frame; more where a header is long
_SEGMENTATION_PIXEL_BYTES = 16  # of one plane, while its labels are counted
_CONTOUR_PIXEL_BYTES = 64  # of one plane, while the edges of a label are followed


def result_bytes(series: DicomSeries, *, segmentation: bool, report: bool = False, contours: bool = False) -> int:
    """Returns the memory that the writers of `bedside.dicom` take at most beside the label map, one after the other.

    Args:
        series: the series that is segmented.
        segmentation: whether `write_segmentation` is called.
        report: whether `write_report` is.
        contours: whether `write_structure_set` is. A plane in which a quarter of the pixels lie at an edge of one label
            fits; a mask of noise takes more.

    Returns:
        Bytes; 0 without any result.
    """
    if not (segmentation or report or contours):
        return 0
    columns, rows, slices = series.grid.shape
    library = _HIGHDICOM_BYTES if segmentation or report else _PYDICOM_BYTES
    pixel = _CONTOUR_PIXEL_BYTES if contours else _SEGMENTATION_PIXEL_BYTES
    return library + slices * _FILE_BYTES + columns * rows * pixel
