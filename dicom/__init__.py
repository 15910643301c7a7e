"""DICOM at the device: a series becomes a scan. Needs the extra ``dicom``; never torch."""

from .find import SeriesSummary, list_series, open_series
from .segmentation import is_own_segmentation, write_segmentation
from .series import DicomSeries

__all__ = [
    "DicomSeries",
    "SeriesSummary",
    "is_own_segmentation",
    "list_series",
    "open_series",
    "write_segmentation",
]
