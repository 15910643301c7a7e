"""Checks the output paths of one scan before the scan is segmented."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from ...runtime.bundles.outputs import check_writable
from ...runtime.errors import InputError, UsageError
from ...runtime.scans.byte_stream import ByteStream
from ...runtime.scans.nifti import check_output_name
from ...runtime.scans.nifti_header import MAX_FILE_BYTES
from ...runtime.shortage import raise_shortage

SEG_SUFFIX = ".dcm"  # a label map with this ending is written as DICOM SEG
_KINDS = {"SEG": "label map", "SR": "report", "RTSTRUCT": "structure set"}  # DICOM's modality → what a message calls it


def check_output(output: Path, force: bool, modality: str = "SEG") -> None:
    """Refuses an output that cannot be written, or that would replace another file than one of its kind, as a scan.

    Args:
        output: path of the label map to write, or of a report or structure set.
        force: whether any existing file may be replaced.
        modality: of a DICOM file, what it is: SEG, SR or RTSTRUCT.

    Raises:
        UsageError: the name is not that of a NIfTI or DICOM file, or another file exists there.
        ResourceError: the file cannot be written.
    """
    if output.suffix != SEG_SUFFIX:
        check_output_name(output)
    if not force and output.is_file() and not is_own_label_map(output, modality):
        raise UsageError(
            f'output "{output.name}": expected nothing there, or an earlier {_KINDS[modality]}, got another file; are '
            "-i and -o the right way round? Choose another name, or replace it (--force)"
        )
    check_writable(output)


def check_record(record: Path, force: bool) -> None:
    """Refuses a record that cannot be written, or that would replace another file, such as the list of a data set.

    Args:
        record: path of the run's record.
        force: whether any existing file may be replaced.

    Raises:
        UsageError: the name does not end in .json, or another file exists there.
        ResourceError: the file cannot be written.
    """
    check_writable(record, ".json")
    if force or not record.is_file() or record.stat().st_size == 0:
        return
    from ...runtime.record import RunRecord

    try:
        msgspec.json.decode(record.read_bytes(), type=RunRecord)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OSError) as error:
        raise_shortage(error, f'--record "{record.name}"')
        raise UsageError(
            f'--record "{record.name}": expected nothing there, or an earlier record, got another file; choose another '
            "name, or replace it (--force)"
        ) from None


def is_own_label_map(path: Path, modality: str = "SEG") -> bool:
    """Whether a file's header says that bedside wrote it as a label map; True for an empty file, which can be lost.

    Of a DICOM file, whether it is bedside's and of the modality, which may also be that of a report or structure set.
    """
    if path.stat().st_size == 0:
        return True
    if path.suffix == SEG_SUFFIX:
        from ...dicom import is_own_result

        return is_own_result(path, modality)
    import nibabel as nib

    try:
        header: Any = nib.load(path).header
        description = bytes(header["descrip"].tobytes()).rstrip(b"\0")
    except Exception as error:  # nibabel raises many kinds of errors; a file that it cannot read is not bedside's
        raise_shortage(error, f'"{path.name}"')
        return False
    return description == b"bedside label map"


def is_damaged(path: Path) -> bool:
    """Whether a file is empty, or its gzip data are truncated or damaged, so that nothing is lost with it."""
    try:
        with ByteStream(path) as stream:
            return stream.skip(MAX_FILE_BYTES) == 0
    except InputError:
        return True
