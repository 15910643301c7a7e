"""DICOM at the device: a series becomes a scan. Needs the extra ``dicom``; never torch."""

from .find import SeriesSummary, list_series, open_series
from .series import DicomSeries

__all__ = ["DicomSeries", "SeriesSummary", "list_series", "open_series"]
