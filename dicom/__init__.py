"""DICOM at the device: a series becomes a scan. Needs the extra ``dicom``; never torch."""

from .find import SeriesSummary, list_series, open_series
from .references import ResultIdentity, is_own_result
from .report import write_report
from .segmentation import write_segmentation
from .series import DicomSeries
from .structure_set import write_structure_set

__all__ = [
    "DicomSeries",
    "ResultIdentity",
    "SeriesSummary",
    "is_own_result",
    "list_series",
    "open_series",
    "write_report",
    "write_segmentation",
    "write_structure_set",
]
