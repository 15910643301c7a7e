"""Reads the header of a NIfTI-1 or NIfTI-2 file and checks it field by field, before any voxel is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti1 import data_type_codes as DATA_TYPES
from nibabel.nifti2 import Nifti2Header

from ..axes import XYZ
from ..errors import InputError
from .file_kind import SNIFFED_BYTES, FileKind
from .geometry import Grid
from .sform_qform import Form as Form  # an argument of `read_header`
from .sform_qform import affine_of

MAX_VOLUME_BYTES = 4 * 2**30
MAX_FILE_BYTES = 16 * 2**30
_HEADERS: dict[int, tuple[type[Nifti1Header], bytes]] = {
    348: (Nifti1Header, b"n+1\0"),
    540: (Nifti2Header, b"n+2\0\r\n\032\n"),
}
_BYTE_ORDERS: dict[str, Literal["little", "big"]] = {"<": "little", ">": "big"}
_READABLE = {"i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"}


@dataclass(frozen=True)
class NiftiHeader:
    """The checked contents of a NIfTI header.

    Attributes:
        shape: number of voxels of one volume.
        volumes: number of volumes in the file.
        dtype: voxel type as stored, byte order included.
        header_bytes: size of the header in bytes.
        offset: number of bytes before the first voxel.
        slope: factor from stored to real values.
        intercept: value added after the factor, in the unit of the real values.
        grid: geometry of each volume.
    """

    shape: XYZ
    volumes: int
    dtype: np.dtype[Any]
    header_bytes: int
    offset: int
    slope: float
    intercept: float
    grid: Grid

    @property
    def volume_bytes(self) -> int:
        """Stored bytes of one volume."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def file_bytes(self) -> int:
        """Size that the whole (decompressed) file must have, in bytes."""
        return self.offset + self.volumes * self.volume_bytes

    @property
    def is_scaled(self) -> bool:
        """Whether stored and real values differ."""
        return (self.slope, self.intercept) != (1.0, 0.0)


class HeaderSource(Protocol):
    """A source from which a header is read: a file (`ByteStream`), or an image in memory.

    Attributes:
        name: the file's name, for messages.
    """

    name: str

    def read(self, count: int, /) -> bytes:
        """Returns the next ``count`` bytes, fewer at the end."""
        ...

    def readinto(self, buffer: memoryview, /) -> object:
        """Fills ``buffer``."""
        ...

    def kind(self, start: bytes) -> FileKind | None:
        """Returns the kind of a file that begins with ``start`` and is not NIfTI; None if unknown."""
        ...


def read_header(stream: HeaderSource, prefer: Form | None) -> NiftiHeader:
    """Reads and checks the header at the start of ``stream``; leaves the stream at the header's end.

    Raises:
        InputError: the file is not NIfTI, or its header is damaged or contradicts itself.
    """
    name = stream.name
    start = stream.read(4)
    order = next((o for o in _BYTE_ORDERS if int.from_bytes(start, _BYTE_ORDERS[o]) in _HEADERS), None)
    if order is None or len(start) < 4:
        got = stream.kind(start + stream.read(SNIFFED_BYTES - 4)) or "something else; convert it to NIfTI first"
        raise InputError(f'"{name}": expected a NIfTI file (.nii, .nii.gz), got {got}')
    kind, magic = _HEADERS[int.from_bytes(start, _BYTE_ORDERS[order])]
    block = bytearray(kind.sizeof_hdr)
    block[:4] = start
    stream.readinto(memoryview(block)[4:])
    header = kind(bytes(block), endianness=order, check=False)
    if bytes(block[344:348] if kind is Nifti1Header else block[4:12]) != magic:
        raise InputError(
            f'"{name}": expected a single-file NIfTI, got Analyze or a .hdr/.img pair; convert it to .nii.gz'
        )
    shape, volumes = _shape(header, name)
    dtype = _dtype(header, name)
    slope, intercept = _scaling(header, name)
    offset = float(header["vox_offset"])
    if not (math.isfinite(offset) and offset == int(offset) and kind.sizeof_hdr + 4 <= offset <= MAX_FILE_BYTES):
        raise InputError(
            f'"{name}": voxel data cannot start at byte {offset:g}; the header is damaged, export it again'
        )
    try:
        with np.errstate(all="ignore"):  # damaged numbers become NaN or Inf, which is refused, not warned about
            grid = Grid(shape, affine_of(header, shape, prefer))
    except InputError as error:
        raise InputError(f'"{name}": {error}', error.choices) from None
    result = NiftiHeader(shape, volumes, dtype, kind.sizeof_hdr, int(offset), slope, intercept, grid)
    if result.volume_bytes > MAX_VOLUME_BYTES or result.file_bytes > MAX_FILE_BYTES:
        raise InputError(
            f'"{name}": expected at most {MAX_VOLUME_BYTES / 2**30:g} GiB per volume and '
            f"{MAX_FILE_BYTES / 2**30:g} GiB in all, the header says {'×'.join(map(str, shape))} voxels "
            f"of {dtype.name} × {volumes}; crop the scan"
        )
    return result


def set_single_file(header: Nifti1Header) -> None:
    """Marks a header as that of a single file, whose voxels follow four bytes after it."""
    header["magic"] = _HEADERS[header.sizeof_hdr][1]
    header["vox_offset"] = header.sizeof_hdr + 4


def _shape(header: Nifti1Header, name: str) -> tuple[XYZ, int]:
    dims = [int(size) for size in header["dim"]]
    if not 1 <= dims[0] <= 7 or any(size < 1 for size in dims[1 : dims[0] + 1]):
        raise InputError(f'"{name}": expected positive dimensions, got {dims[1:]}; the file is empty or damaged')
    if dims[0] < 3:
        raise InputError(f'"{name}": expected a 3D volume, got {dims[0]}D; give the whole scan, not one slice')
    return XYZ(*dims[1:4]), math.prod(dims[4 : dims[0] + 1])


def _dtype(header: Nifti1Header, name: str) -> np.dtype[Any]:
    code = int(header["datatype"])
    try:
        dtype = np.dtype(cast(Any, DATA_TYPES.dtype[code])).newbyteorder(header.endianness)
    except KeyError:
        raise InputError(f'"{name}": unknown voxel type code {code}; the header is damaged, export it again') from None
    if dtype.str[1:] not in _READABLE:
        raise InputError(
            f'"{name}": expected real voxel values, got {DATA_TYPES.label[code]}; convert to int16 or float32'
        )
    bits = int(header["bitpix"])
    if bits != 8 * dtype.itemsize:
        raise InputError(
            f'"{name}": {DATA_TYPES.label[code]} has {8 * dtype.itemsize} bits per voxel, the header says {bits}; '
            "it is damaged, export the file again"
        )
    return dtype


def _scaling(header: Nifti1Header, name: str) -> tuple[float, float]:
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or (math.isnan(slope) and math.isnan(intercept)):  # both mean: not scaled
        return 1.0, 0.0
    if not (math.isfinite(slope) and math.isfinite(intercept)):
        raise InputError(
            f'"{name}": expected finite scaling, got slope {slope:g}, intercept {intercept:g}; export it again'
        )
    return slope, intercept
