"""From a received file to a scan that has its memory: recognised, unpacked, opened, planned."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.errors import InputError, UsageError
from ..runtime.scans.file_kind import is_dicom, is_dicom_series
from .disk_room import require_room
from .job import Job
from .scan_options import ScanOptions
from .settings import Settings
from .unzip import unzip

if TYPE_CHECKING:
    from ..dicom import DicomSeries

UPLOAD = "upload"
_ZIP = b"PK\x03\x04"
_GZIP = b"\x1f\x8b"


def take_in(job: Job, options: ScanOptions, settings: Settings) -> None:
    """Opens the upload in a job's folder as a scan and reserves its memory, which the job holds from now on.

    Raises:
        InputError: the scan is refused.
        ResourceError: there is no memory for it.
        MissingExtraError: it is DICOM, and the extra ``dicom`` is not installed.
        UsageError: an option does not fit the scan.
        RefusedError: there is no room on the disk.
        OSError: the disk is full all the same.
    """
    job.scan, job.options = opened(job.folder, options, settings), options.of_segmentation()
    reserving = job.bundle.segmenter.reserve(
        job.scan, job.options, cancel=job.cancelled, afterwards=_result_bytes(job.scan)
    )
    job.reserved = job.reservation.enter_context(reserving)


def opened(folder: Path, options: ScanOptions, settings: Settings) -> Path | DicomSeries:
    """Recognises the upload in a folder: a zip is unpacked, a DICOM series opened, a NIfTI file gets its ending.

    Args:
        folder: the folder that holds the upload under the name `UPLOAD`.
        options: which series.
        settings: the limits of a zip.

    Raises:
        InputError: it is no scan.
        MissingExtraError: it is DICOM, and the extra ``dicom`` is not installed.
        UsageError: there is no such series, or an option chooses one and this is NIfTI.
        RefusedError: there is no room on the disk.
        OSError: the disk is full all the same.
    """
    upload = folder / UPLOAD
    with upload.open("rb") as file:
        start = file.read(4)
    if start == _ZIP:
        series = folder / "series"
        unzip(upload, series, settings.files, settings.unpacked_bytes)
        upload.unlink()
        if not is_dicom_series(series):
            raise InputError(
                "expected a NIfTI file or a zip of DICOM files, got a zip of other files; send the scan as it is, or "
                "zip the slices of one series"
            )
        return _series(series, options)
    if is_dicom(upload):
        return _series(upload.rename(folder / "scan.dcm"), options)
    if options.series is not None or options.fill_gaps:
        raise UsageError("series and fill_gaps go with a DICOM series; this is none")
    return upload.rename(folder / ("scan.nii.gz" if start.startswith(_GZIP) else "scan.nii"))


def _series(path: Path, options: ScanOptions) -> DicomSeries:
    from ..dicom import open_series

    return open_series(path, options.series, fill_gaps=options.fill_gaps)


def _result_bytes(scan: Path | DicomSeries) -> int:
    """Returns the memory that writing the DICOM segmentation of a scan takes; 0 where it is no DICOM."""
    if isinstance(scan, Path):
        return 0
    from ..dicom.result_memory import result_bytes

    return result_bytes(scan, segmentation=True)


def nifti_path(job: Job) -> Path:
    """Returns where a scan is as NIfTI as it was segmented, or will be once `convert` has run."""
    if job.scan is None:
        return job.folder / "scan.nii.gz"
    return job.scan if isinstance(job.scan, Path) and not _chooses(job) else job.folder / "shown.nii.gz"


def _chooses(job: Job) -> bool:
    """Whether the job's options choose a volume of its NIfTI file, or its sform or qform."""
    return job.options.volume is not None or job.options.prefer is not None


def convert(job: Job) -> None:
    """Writes a scan as NIfTI as it was segmented, plane by plane, once. Only one may run at a time.

    A NIfTI file stays as it is, unless the job's options choose one of its volumes or forms: who shows the file would
    choose otherwise.

    Raises:
        InputError: the scan is damaged.
        RefusedError: there is no room on the disk, or the job's files have been removed.
        ResourceError: it cannot be written all the same.
    """
    from ..runtime.scans.nifti import write_planes
    from ..runtime.scans.nifti_file import NiftiFile
    from ..runtime.scans.scan import Scan

    with job.using_files():
        path, scan = nifti_path(job), job.scan
        if scan is None or path.exists():
            return
        source = NiftiFile.open(scan, job.options.volume, job.options.prefer) if isinstance(scan, Path) else scan
        require_room(job.folder, math.prod(source.grid.shape) * source.dtype.itemsize)
        write_planes(path, Scan(source, job.options.replace_nan).planes(), source.dtype, source.grid)
