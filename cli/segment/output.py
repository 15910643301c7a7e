"""Looking at where the label map of one scan is to go, before the scan is segmented."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...runtime.errors import UsageError
from ...runtime.scans.nifti import check_output_name
from ..options.outputs import check_writable


def check_output(output: Path, force: bool) -> None:
    """Refuses an output that cannot be written, or that would replace what is no label map, a scan say.

    Args:
        output: where the label map is to go.
        force: whatever is there may be replaced.

    Raises:
        UsageError: no name of a NIfTI file, or something else is there.
        ResourceError: it cannot be written.
    """
    check_output_name(output)
    if not force and output.is_file() and not _is_ours(output):
        raise UsageError(
            f'output "{output.name}": expected nothing there, or an earlier label map, got another file; are -i and -o '
            "the right way round? Choose another name, or replace it (--force)"
        )
    check_writable(output)


def _is_ours(path: Path) -> bool:
    """Whether a file says that bedside wrote it as a label map; an empty one, a mere name, holds nothing to lose."""
    if path.stat().st_size == 0:
        return True
    import nibabel as nib

    try:
        header: Any = nib.load(path).header
        description = bytes(header["descrip"].tobytes()).rstrip(b"\0")
    except Exception:  # nibabel raises whatever its readers meet; a file that is none of its formats is not ours
        return False
    return description == b"bedside label map"
