"""Converts a nibabel image to a volume, with the same checks as for a file, whether its voxels are in memory or not."""

from __future__ import annotations

import io
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.arrayproxy import ArrayProxy
from nibabel.nifti1 import Nifti1Pair
from nibabel.spatialimages import HeaderDataError

from ..errors import InputError
from ..memory.memory_limit import check_memory
from ..shortage import raise_shortage
from .byte_stream import ByteStream
from .nifti_file import volume_index
from .nifti_header import Form, NiftiHeader, read_header, set_single_file
from .volume import Volume, as_voxels

if TYPE_CHECKING:
    from .file_kind import FileKind

_SINGLE, _DOUBLE = np.dtype(np.float32).itemsize, np.dtype(np.float64).itemsize
_OTHER_CODECS = (".bz2", ".zst")  # that nibabel decompresses and bedside does not
_NAME = "scan"  # in messages: an image in memory has no name, and a file's may be a patient's


@dataclass(frozen=True)
class ImageMemory:
    """Memory that `image_volume` takes for one volume of an image.

    Attributes:
        held: bytes of the volume.
        reading: further bytes while nibabel reads it.
    """

    held: int = 0
    reading: int = 0

    @staticmethod
    def of(scan: Any) -> ImageMemory:
        """Returns the memory of an image on disk; none for an image in memory or for what is no image."""
        if not (isinstance(scan, Nifti1Pair) and getattr(scan.dataobj, "is_proxy", False)):
            return ImageMemory()
        voxels, stored = math.prod(scan.shape[:3]), np.dtype(scan.get_data_dtype())
        scaled, moved = getattr(scan.dataobj, "slope", None) != 1, getattr(scan.dataobj, "inter", None) != 0
        if scaled or moved:
            # float64 in nibabel: a product and its sum with the intercept, or one of them and then its copy in float32.
            held, peak = _SINGLE, stored.itemsize + _DOUBLE + (_DOUBLE if scaled and moved else _SINGLE)
        else:
            held = _SINGLE if stored.kind == "f" else stored.itemsize
            peak = 2 * stored.itemsize  # nibabel joins the pieces of a compressed file
        return ImageMemory(held * voxels, (peak - held) * voxels)


def image_volume(image: Nifti1Pair, volume: int | None = None, prefer: Form | None = None) -> Volume:
    """Returns one volume of a nibabel image.

    If ``affine`` was changed since the image was loaded, it takes precedence over the header, as when nibabel saves the
    image.

    Args:
        image: a `nibabel.Nifti1Image` or `Nifti2Image`; not modified.
        volume: index of the volume in a 4D image, from 0; None requires a single volume.
        prefer: the form to use if sform and qform disagree; None refuses the image.

    Raises:
        InputError: as for a file: there is no single valid geometry, the values are not real numbers, or the file is
            damaged.
        ResourceError: the volume does not fit into memory.
    """
    header = read_header(_HeaderBytes(image), prefer)
    index = volume_index(header, volume, _NAME)
    on_disk = bool(getattr(image.dataobj, "is_proxy", False))
    if on_disk:
        _prove_file(image)
        check_memory(f'"{_NAME}":', math.prod(header.shape) * _DOUBLE)
    data = as_voxels(_NAME, _one_volume(image, header, index))
    if on_disk and data.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes Inf, which is refused later
            data = data.astype(np.float32, order="K", copy=False)
    return Volume(data, header.grid)


class _HeaderBytes(io.BytesIO):
    """The header that nibabel would write for an image, as a source for `read_header`."""

    def __init__(self, image: Nifti1Pair) -> None:
        self.name = _NAME
        try:
            # A copy, made by nibabel's own rules for an affine that differs from the header.
            header = type(image)(image.dataobj, image.affine, image.header).header
        except (HeaderDataError, ValueError, TypeError) as error:
            raise InputError(f'"{_NAME}": nibabel cannot write this image ({error}); correct its header') from None
        header.set_slope_inter(1, 0)  # nibabel has the scaling in `dataobj`
        set_single_file(header)
        super().__init__(header.binaryblock)

    def kind(self, start: bytes) -> FileKind | None:
        """Returns None: nibabel's headers are always NIfTI."""
        return None


def _prove_file(image: Nifti1Pair) -> None:
    """Checks that a file ends with its last voxel, where nibabel stops, and verifies a compressed one's checksum.

    Raises:
        InputError: the file is damaged, holds more or fewer bytes, or no longer exists.
    """
    file: Any = image.file_map["image"].filename
    stored: Any = image.dataobj  # as it was opened; the header may have been changed since
    if not (isinstance(file, str) and isinstance(stored, ArrayProxy)):
        return
    if file.lower().endswith(_OTHER_CODECS):
        return  # the decompressor checks its own sums, and finds a file that ends too early
    expected = stored.offset + math.prod(stored.shape) * stored.dtype.itemsize
    with ByteStream(Path(file)) as stream:
        stream.check_length(expected)
        if stream.is_gzip:
            stream.skip(expected)
            stream.finish()


def _one_volume(image: Nifti1Pair, header: NiftiHeader, index: int) -> Any:
    """Returns the scaled values [X, Y, Z] of one volume; only that volume is read from disk."""
    place = np.unravel_index(index, image.shape[3:], order="F") if header.volumes > 1 else (0,) * len(image.shape[3:])
    values: Any = image.dataobj
    try:
        return values[(..., *(int(number) for number in place))]
    except (OSError, EOFError, ValueError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise_shortage(error, f'"{_NAME}"')
        raise InputError(f'"{_NAME}": its voxels cannot be read ({reason}); copy or export the file again') from None
