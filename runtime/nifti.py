"""Reading and writing NIfTI volumes: believed only after every check, written only whole."""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header

from .atomic import atomic_write
from .byte_stream import ByteStream
from .errors import InputError, ResourceError, UsageError
from .free_memory import free_memory
from .nifti_header import Form, NiftiHeader, read_header
from .volume import Volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .geometry import Grid

_GZIP_LEVEL = 3  # label maps: level 9 takes many times longer for a few kilobytes
_NIFTI1_MAX_SIZE = 32_767
_SLAB = 32


def read_volume(
    path: str | Path, *, volume: int | None = None, replace_nan: float | None = None, prefer: Form | None = None
) -> Volume:
    """Reads an image.

    Args:
        path: a .nii or .nii.gz file.
        volume: which volume of a 4D file, from 0.
        replace_nan: value for voxels that are not finite; without it they are refused.
        prefer: which geometry to believe where sform and qform disagree.

    Returns:
        Scaled values as float32, or the stored integers where the file has no scaling.

    Raises:
        InputError: anything but a whole file with one valid geometry and finite values.
        ResourceError: the volume does not fit into memory.
    """
    path = Path(path)
    header, data = _read(path, volume, prefer)
    if header.is_scaled or data.dtype.kind == "f":
        data = _to_float32(data, header)
    if data.dtype.kind != "f":
        return Volume(data, header.grid)
    # min and max carry NaN and Inf along, so a clean volume needs no mask.
    if np.isfinite(data.min()) and np.isfinite(data.max()):
        return Volume(data, header.grid)
    bad = ~np.isfinite(data)
    count = int(np.count_nonzero(bad))
    if replace_nan is None:
        raise InputError(
            f'"{path.name}": expected finite values, got {count:,} voxels that are NaN or Inf; '
            "repair the file, or replace them (--replace-nan V)"
        )
    if not np.isfinite(np.float32(replace_nan)):
        raise UsageError(f"replace_nan: expected a finite number, got {replace_nan}")
    data[bad] = replace_nan
    return Volume(data, header.grid, (f"{count:,} voxels that were NaN or Inf replaced by {replace_nan:g}",))


def read_labels(path: str | Path, *, prefer: Form | None = None) -> Volume:
    """Reads a label map: uint8, or uint16 where a label is above 255.

    Whole numbers stored as floats are taken as the integers they are.

    Raises:
        InputError: as `read_volume`; also values that are negative, fractional, or above 65,535.
        ResourceError: the volume does not fit into memory.
    """
    path = Path(path)
    header, data = _read(path, None, prefer)
    if header.is_scaled:
        data = _to_float32(data, header)
    low, high = data.min(), data.max()
    whole = data.dtype.kind != "f" or (np.isfinite(low) and np.isfinite(high) and bool((data == np.rint(data)).all()))
    if not whole or low < 0 or high > np.iinfo(np.uint16).max:
        raise InputError(
            f'"{path.name}": expected integer labels 0…65535, got values {low:g}…{high:g}; is this the label map?'
        )
    dtype = np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16
    return Volume(data.astype(dtype, order="K", copy=False), header.grid)


def write_volume(path: str | Path, data: NDArray[Any], grid: Grid, *, description: str = "") -> None:
    """Writes a volume so that the file is either whole and verified, or not there at all.

    sform and qform both hold the grid (code 1, scanner; a sheared grid has no qform). Same data, same bytes.

    Args:
        path: ends in .nii or .nii.gz; an existing file is replaced.
        data: [X, Y, Z] real numbers or booleans, stored in their own type.
        grid: the grid of ``data``.
        description: at most 79 ASCII characters for the header; nothing of the patient.

    Raises:
        UsageError: another file ending, or data that do not fit the grid or the format.
        ResourceError: the file cannot be written, or does not read back the same.
    """
    path = Path(path)
    check_output_name(path)
    if data.dtype == np.bool_:
        data = data.view(np.uint8)
    if data.shape != grid.shape:
        raise UsageError(f"write: expected data of shape {grid.shape} as the grid says, got {data.shape}")
    if data.dtype.kind not in "iuf" or data.dtype.itemsize > 8 or data.dtype == np.float16:
        raise UsageError(f"write: expected integers, float32 or float64, got {data.dtype}")
    data = data.astype(data.dtype.newbyteorder("<"), order="K", copy=False)
    header = _header(data, grid, description)
    with atomic_write(path) as temporary:
        with temporary.open("wb") as file:
            if path.name.endswith(".gz"):
                with gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as compressed:
                    _write(compressed, header, data)
            else:
                _write(file, header, data)
        _verify(temporary, data, grid, path.name)


def check_output_name(path: Path) -> None:
    """Refuses a file ending that is not NIfTI's; worth calling before an hour of work.

    Raises:
        UsageError: the name does not end in .nii or .nii.gz.
    """
    if not path.name.endswith((".nii", ".nii.gz")) or path.name in (".nii", ".nii.gz"):
        raise UsageError(f'output "{path.name}": expected a name ending in .nii or .nii.gz')


def _read(path: Path, volume: int | None, prefer: Form | None) -> tuple[NiftiHeader, NDArray[Any]]:
    """Returns the header and the stored values [X, Y, Z] in native byte order, in the file's memory layout."""
    with ByteStream(path) as stream:
        header = read_header(stream, prefer)
        index = _volume_index(header, volume, path.name)
        stream.require_room(header.file_bytes)
        _require_memory(header, path.name)
        stream.require_length(header.file_bytes)
        flat = np.empty(header.volume_bytes, np.uint8)
        stream.skip(header.offset - header.header_bytes + index * header.volume_bytes)
        stream.readinto(flat.data)
        stream.skip((header.volumes - 1 - index) * header.volume_bytes)
        stream.finish()
    data = flat.view(header.dtype).reshape(header.shape, order="F")
    return header, data.astype(header.dtype.newbyteorder("="), order="K", copy=False)


def _require_memory(header: NiftiHeader, name: str) -> None:
    """Checks that the stored voxels of one volume and their conversion fit into memory."""
    needed = header.volume_bytes
    if header.is_scaled or header.dtype.kind == "f" or not header.dtype.isnative:
        needed += math.prod(header.shape) * max(4, header.dtype.itemsize)
    free = free_memory()
    if needed > free:
        raise ResourceError(
            f'"{name}": needs {needed / 2**20:,.0f} MiB of memory, {free / 2**20:,.0f} MiB are free; '
            "crop the scan or free memory"
        )


def _volume_index(header: NiftiHeader, volume: int | None, name: str) -> int:
    if volume is None and header.volumes > 1:
        raise InputError(f'"{name}": expected one 3D volume, got {header.volumes}; choose one (--volume N, from 0)')
    index = volume or 0
    if not 0 <= index < header.volumes:
        raise InputError(f'"{name}": expected a volume from 0 to {header.volumes - 1}, got {index}')
    return index


def _to_float32(data: NDArray[Any], header: NiftiHeader) -> NDArray[np.float32]:
    """Applies the scaling plane by plane; values beyond float32 become Inf and are refused with it."""
    scaled = np.empty(data.shape, np.float32, order="F")
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(data.shape[2]):
            if header.is_scaled:
                scaled[:, :, k] = data[:, :, k] * np.float64(header.slope) + header.intercept
            else:
                scaled[:, :, k] = data[:, :, k]
    return scaled


def _header(data: NDArray[Any], grid: Grid, description: str) -> bytes:
    if len(description) > 79 or not description.isascii():
        raise UsageError("write: the description holds at most 79 ASCII characters")
    small = max(data.shape) <= _NIFTI1_MAX_SIZE
    header = Nifti1Header() if small else Nifti2Header()
    header.set_data_dtype(data.dtype)
    header.set_data_shape(data.shape)
    header.set_zooms(grid.spacing)
    header.set_xyzt_units("mm")
    header.set_sform(grid.affine, code=1)
    if not grid.is_sheared:
        header.set_qform(grid.affine, code=1)
    header.set_slope_inter(1, 0)
    header["descrip"] = description.encode("ascii")
    header["magic"] = b"n+1" if small else b"n+2\0\r\n\032\n"
    header["vox_offset"] = header.sizeof_hdr + 4
    return header.as_byteswapped("<").binaryblock + bytes(4)  # four zeros: no extension follows


def _write(file: BinaryIO | gzip.GzipFile, header: bytes, data: NDArray[Any]) -> None:
    file.write(header)
    planes = data.T  # [Z, Y, X]: the file runs along x first
    for start in range(0, len(planes), _SLAB):
        file.write(np.ascontiguousarray(planes[start : start + _SLAB]).data)


def _verify(temporary: Path, data: NDArray[Any], grid: Grid, name: str) -> None:
    try:
        header, written = _read(temporary, None, None)
    except InputError as error:
        raise ResourceError(f'"{name}": did not read back after writing ({error}); check the disk') from None
    same_place = np.allclose(header.grid.affine, grid.affine, rtol=1e-6, atol=1e-4)
    if not same_place or not np.array_equal(written, data, equal_nan=data.dtype.kind == "f"):
        raise ResourceError(f'"{name}": reads back differently from what was written; check the disk')
