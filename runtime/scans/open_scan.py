"""Opens whatever a public function accepts as a scan: a file, a DICOM series, a volume in memory, a nibabel image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from nibabel.nifti1 import Nifti1Pair

from .. import arguments
from ..errors import UsageError
from .nifti_file import NiftiFile
from .nifti_image import image_volume
from .scan import Scan
from .scan_source import ScanSource
from .sform_qform import FORMS, Form
from .volume import Volume

if TYPE_CHECKING:
    from ..hooks import Cancel


def open_scan(
    scan: Any,
    *,
    volume: int | None = None,
    replace_nan: float | None = None,
    prefer: Form | None = None,
    cancel: Cancel | None = None,
) -> Scan:
    """Opens a scan; a file's header is read now, its voxels when the planes are iterated over.

    Args:
        scan: a path, a `Volume`, a `nibabel.Nifti1Image` (or `Nifti2Image`), or a `ScanSource` such as a DICOM series.
        volume: index of the volume in a 4D file or image, from 0; None requires a single volume.
        replace_nan: value that replaces NaN and Inf; None refuses them.
        prefer: the form to use if sform and qform disagree; None refuses the scan.
        cancel: function called before every plane; it returns true to stop.

    Raises:
        UsageError: an argument has the wrong type or is out of range.
        InputError: the scan does not have one valid geometry, or its file is missing or damaged.
        ResourceError: an image's voxels do not fit into memory.
    """
    volume = arguments.optional(arguments.whole_number, "volume", volume, 0)
    replace_nan = arguments.optional(arguments.float32, "replace_nan", replace_nan)
    prefer = cast("Form | None", arguments.optional(arguments.one_of, "prefer", prefer, FORMS))
    if isinstance(scan, Nifti1Pair):
        return Scan(image_volume(scan, volume, prefer), replace_nan, cancel)
    if isinstance(scan, Volume | ScanSource):
        if volume is not None or prefer is not None:
            raise UsageError(
                "volume and prefer (--volume, --use-sform, --use-qform) choose within a NIfTI file, and this scan is "
                "none, or is open already"
            )
        return Scan(scan, replace_nan, cancel)
    if not arguments.is_path(scan):
        advice = "give an array and its affine to segment_array" if hasattr(scan, "__array__") else ""
        arguments.refuse("scan", "a path, a Volume or a nibabel NIfTI image", scan, advice)
    return Scan(NiftiFile.open(arguments.path("scan", scan), volume, prefer), replace_nan, cancel)
