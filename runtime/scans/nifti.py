"""Reads NIfTI volumes after checking them completely, and writes them atomically."""

from __future__ import annotations

import gzip
import math
import os
from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from zlib import crc32

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header

from .. import arguments
from ..errors import InputError, ResourceError, UsageError
from ..files.atomic import atomic_write
from .geometry import Grid
from .integer_labels import read_integer_labels
from .nifti_file import NiftiFile
from .nifti_header import MAX_VOLUME_BYTES, set_single_file
from .open_scan import open_scan
from .sform_qform import FORMS, qform_deviation
from .volume import Volume

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from .sform_qform import Form

_GZIP_LEVEL = 3  # label maps: level 9 takes many times longer for a few kilobytes
_NIFTI1_MAX_SIZE = 32_767
_SLAB = 32
_QFORM_VOXELS = 0.1  # no qform is written if it places a corner farther from the sform than this


def read_volume(
    path: str | os.PathLike[str],
    *,
    volume: int | None = None,
    replace_nan: float | None = None,
    prefer: Form | None = None,
) -> Volume:
    """Reads an image.

    Args:
        path: a .nii or .nii.gz file.
        volume: index of the volume in a 4D file, from 0; None requires a single volume.
        replace_nan: value that replaces NaN and Inf; None refuses them.
        prefer: the form to use if sform and qform disagree; None refuses the file.

    Returns:
        Scaled values as float32, or the stored integers if the file has no scaling.

    Raises:
        UsageError: an argument has the wrong type or is out of range.
        InputError: the file is incomplete, or does not have one valid geometry and finite values.
        ResourceError: the volume does not fit into memory.
    """
    file = arguments.path("path", path)
    return open_scan(file, volume=volume, replace_nan=replace_nan, prefer=prefer).load()


def read_labels(path: str | os.PathLike[str], *, prefer: Form | None = None) -> Volume:
    """Reads a label map: uint8, or uint16 if a label is above 255.

    Values within 1e-3 of a whole number are rounded to it: a scale factor or a float type may have blurred them.

    Args:
        path: a .nii or .nii.gz file.
        prefer: the form to use if sform and qform disagree; None refuses the file.

    Raises:
        UsageError: an argument has the wrong type.
        InputError: as `read_volume`; also if a value is negative, fractional, or above 65,535: the message shows the
            first one.
        ResourceError: the volume does not fit into memory.
    """
    path = arguments.path("path", path)
    prefer = cast("Form | None", arguments.optional(arguments.one_of, "prefer", prefer, FORMS))
    file = NiftiFile.open(path, prefer=prefer)
    return Volume(read_integer_labels(file), file.header.grid)


def write_volume(path: str | os.PathLike[str], data: NDArray[Any], grid: Grid, *, description: str = "") -> None:
    """Writes a volume atomically: the file is complete and verified, or is not written at all.

    sform and qform both hold the grid (code 1, scanner). The qform is omitted (code 0) if it cannot express the grid:
    for a sheared grid, and where its rounding moves a corner. The format is NIfTI-2 if NIfTI-1 cannot hold the shape
    or the affine precisely enough. The same data give the same bytes.

    Args:
        path: file name ending in .nii or .nii.gz; an existing file is replaced.
        data: [X, Y, Z] real numbers or booleans, stored in their own type.
        grid: the grid of ``data``.
        description: text for the header, at most 79 ASCII characters, without patient data.

    Raises:
        UsageError: the path has another ending, also behind a link, or the data do not fit the grid or the format.
        InputError: the data exceed 4 GiB, which the reader would refuse.
        ResourceError: the file cannot be written, or reads back differently.
    """
    path = arguments.path("path", path)
    check_output_name(path)
    data = arguments.instance("data", data, np.ndarray, "make an array of it with numpy.asarray")
    grid = arguments.instance("grid", grid, Grid)
    description = arguments.instance("description", description, str)
    if np.ma.is_masked(data):
        raise UsageError("write: the masked voxels have no value; fill them first: .filled(value)")
    if data.dtype == np.bool_:
        data = data.view(np.uint8)
    if data.shape != grid.shape:
        raise UsageError(f"write: expected data of shape {grid.shape} as the grid says, got {data.shape}")
    if data.dtype.kind not in "iuf" or data.dtype.itemsize > 8 or data.dtype == np.float16:
        raise UsageError(f"write: expected integers, float32 or float64, got {data.dtype}")
    check_size(data.shape, data.dtype)
    data = data.astype(data.dtype.newbyteorder("<"), order="K", copy=False)
    header = _header(data.dtype, grid, description)
    with atomic_write(path) as temporary:
        with temporary.open("wb") as file, _packing(file, path) as packed:
            _write(packed, header, data)
        _verify(temporary, data, grid, path.name)


def write_planes(path: Path, planes: Iterable[NDArray[Any]], dtype: np.dtype[Any], grid: Grid) -> None:
    """Writes a volume as its planes come, so that memory holds one of them; otherwise as `write_volume`.

    Args:
        path: file name ending in .nii or .nii.gz; an existing file is replaced.
        planes: [Y, X] real numbers along the third axis of ``grid``.
        dtype: type in which they are stored.
        grid: the grid of the volume.

    Raises:
        InputError: the data exceed 4 GiB, or reading the planes raised it.
        ResourceError: the file cannot be written, or reads back differently.
    """
    check_size(grid.shape, dtype)
    stored = dtype.newbyteorder("<")
    checksum, size = 0, 0
    with atomic_write(path) as temporary:
        with temporary.open("wb") as file, _packing(file, path) as packed:
            packed.write(_header(stored, grid, ""))
            for plane in planes:
                content = np.ascontiguousarray(plane, stored).data.cast("B")
                packed.write(content)
                checksum, size = crc32(content, checksum), size + content.nbytes
        if size != math.prod(grid.shape) * stored.itemsize:
            raise UsageError(f"write: expected {grid.shape[2]} planes of {grid.shape[:2]} voxels, got {size} bytes")
        with _reading_back(path.name):
            written = NiftiFile.open(temporary)
            read = 0
            for plane in written.stored_planes():
                read = crc32(np.ascontiguousarray(plane, stored).data.cast("B"), read)
            if read != checksum or not written.header.grid.coincides(grid):
                raise _DiffersError


def check_output_name(path: Path) -> None:
    """Checks that an output name has a NIfTI ending; call it before a long computation.

    Raises:
        UsageError: the name does not end in .nii or .nii.gz, or is a link to a file with the other of these endings.
    """
    if not path.name.endswith((".nii", ".nii.gz")) or path.name in (".nii", ".nii.gz"):
        got = ", got a folder" if os.path.isdir(path) else ""  # noqa: PTH112 - False for a name that no file can have
        raise UsageError(f'output "{path.name}": expected a name ending in .nii or .nii.gz{got}')
    target = Path(os.path.realpath(path)).name if path.is_symlink() else path.name
    if target.endswith((".nii", ".nii.gz")) and target.endswith(".gz") != path.name.endswith(".gz"):
        raise UsageError(f'output "{path.name}": expected a link to a file with the same ending, got "{target}"')


def check_size(shape: tuple[int, ...], dtype: DTypeLike) -> None:
    """Checks that a volume to be written is small enough to be read again; call it before a long computation.

    Raises:
        InputError: the volume has more than 4 GiB.
    """
    if math.prod(shape) * np.dtype(dtype).itemsize > MAX_VOLUME_BYTES:
        raise InputError(
            f"expected a volume of at most {MAX_VOLUME_BYTES / 2**30:g} GiB to write, got {'×'.join(map(str, shape))} "
            f"voxels of {np.dtype(dtype).name}; crop the scan"
        )


def _header(dtype: np.dtype[Any], grid: Grid, description: str) -> bytes:
    """Returns a NIfTI-1 header, or a NIfTI-2 header if NIfTI-1 cannot hold the shape or resolve the grid."""
    if len(description) > 79 or not description.isascii():
        raise UsageError("write: the description holds at most 79 ASCII characters")
    header = Nifti1Header()
    if max(grid.shape) <= _NIFTI1_MAX_SIZE:
        _fill_in(header, dtype, grid, description)
    if max(grid.shape) > _NIFTI1_MAX_SIZE or not _resolves(header, grid):
        header = Nifti2Header()
        _fill_in(header, dtype, grid, description)
    return header.as_byteswapped("<").binaryblock + bytes(4)  # four zeros: no extension follows


def _fill_in(header: Nifti1Header, dtype: np.dtype[Any], grid: Grid, description: str) -> None:
    header.set_data_dtype(dtype)
    header.set_data_shape(grid.shape)
    header.set_zooms(grid.spacing)
    header.set_xyzt_units("mm")
    header.set_sform(grid.affine, code=1)
    header.set_slope_inter(1, 0)
    header["descrip"] = description.encode("ascii")
    set_single_file(header)
    if grid.is_sheared:
        return
    with_qform = header.copy()
    with_qform.set_qform(grid.affine, code=1)
    try:
        agrees = qform_deviation(with_qform, grid.shape) <= _QFORM_VOXELS
    except InputError:  # rounding moved a value beyond the limits of a grid
        return
    if agrees:
        header.set_qform(grid.affine, code=1)


def _resolves(header: Nifti1Header, grid: Grid) -> bool:
    """Whether the grid survives the single precision of a NIfTI-1 header."""
    try:
        return Grid(grid.shape, np.asarray(header.get_sform(), float)).coincides(grid)
    except InputError:
        return False


def _packing(file: BinaryIO, path: Path) -> AbstractContextManager[BinaryIO | gzip.GzipFile]:
    """Returns a gzip writer for a name ending in .gz, without name and time, so that equal data give equal bytes."""
    return gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) if path.name.endswith(".gz") else nullcontext(file)


def _write(file: BinaryIO | gzip.GzipFile, header: bytes, data: NDArray[Any]) -> None:
    file.write(header)
    planes = data.T  # [Z, Y, X]: the file runs along x first
    for start in range(0, len(planes), _SLAB):
        file.write(np.ascontiguousarray(planes[start : start + _SLAB]).data)


def _verify(temporary: Path, data: NDArray[Any], grid: Grid, name: str) -> None:
    may_be_nan = data.dtype.kind == "f"
    with _reading_back(name):
        file = NiftiFile.open(temporary)
        same = file.header.grid.coincides(grid)
        for written, given in zip(file.stored_planes(), data.T, strict=True):  # to the end, where the checksum is
            same = same and np.array_equal(written, given, equal_nan=may_be_nan)
        if not same:
            raise _DiffersError


class _DiffersError(Exception):
    """What was read back is not what was written."""


@contextmanager
def _reading_back(name: str) -> Generator[None]:
    try:
        yield
    except (InputError, ValueError) as error:
        raise ResourceError(f'"{name}": did not read back after writing ({error}); check the disk') from None
    except _DiffersError:
        raise ResourceError(f'"{name}": reads back differently from what was written; check the disk') from None
