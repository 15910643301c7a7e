"""What `bedside segment` is given as one scan: a NIfTI file, or a DICOM series in files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.errors import InputError, UsageError
from ...runtime.scans.file_kind import is_dicom_series
from ...runtime.scans.names import nifti_files
from ...runtime.scans.patient_folder import patient_folders

if TYPE_CHECKING:
    from ...dicom import DicomSeries


@dataclass(frozen=True)
class ScanInput:
    """One scan that is not opened yet.

    Attributes:
        path: a NIfTI file, a DICOM file, or a folder of DICOM files.
        series: which series to take, by Series Instance UID or number; None where there is one.
        fill_gaps: whether missing slices of a series are interpolated.
    """

    path: Path
    series: str | None = None
    fill_gaps: bool = False

    def check_found(self) -> None:
        """Checks that something is at the path.

        Raises:
            InputError: nothing is there.
        """
        if not self.path.exists():
            raise InputError(f'"{self.path.name}": file or folder not found; check the path')

    def open(self) -> Path | DicomSeries:
        """Returns the path of a NIfTI file as it is, and opens a series; raises what `open_series` raises."""
        if not is_dicom_series(self.path):
            return self.path
        from ...dicom import open_series

        return open_series(self.path, self.series, fill_gaps=self.fill_gaps)

    @property
    def is_folder_of_scans(self) -> bool:
        """Whether the path is a folder that is no DICOM series.

        Raises:
            UsageError: an option chooses within a DICOM series, and this is none.
        """
        holds_nifti = self.path.is_dir() and bool(nifti_files(self.path) or patient_folders(self.path))
        is_series = not holds_nifti and is_dicom_series(self.path)
        if not is_series and (self.series is not None or self.fill_gaps):
            raise UsageError("--series and --fill-gaps go with a DICOM series; this is none")
        return self.path.is_dir() and not is_series
