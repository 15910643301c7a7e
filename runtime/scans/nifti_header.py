"""The header of a NIfTI-1 or NIfTI-2 file, checked field by field before any voxel is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti1 import data_type_codes as DATA_TYPES
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError

from ..errors import InputError
from .file_kind import SNIFFED_BYTES, FileKind
from .geometry import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

Form = Literal["sform", "qform"]
FORMS = ("sform", "qform")

MAX_VOLUME_BYTES = 4 * 2**30
MAX_FILE_BYTES = 16 * 2**30
_HEADERS: dict[int, tuple[type[Nifti1Header], bytes]] = {
    348: (Nifti1Header, b"n+1\0"),
    540: (Nifti2Header, b"n+2\0\r\n\032\n"),
}
_BYTE_ORDERS: dict[str, Literal["little", "big"]] = {"<": "little", ">": "big"}
_READABLE = {"i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"}
_HALF_VOXEL = 0.5
_LAST_FORM_CODE = 5  # "template, other"
_MILLIMETRES = (0, 2)  # 0 = not said, which every writer means as mm


@dataclass(frozen=True)
class NiftiHeader:
    """What a NIfTI header says, once it has been believed.

    Attributes:
        shape: x, y, z voxels of one volume.
        volumes: number of volumes in the file.
        dtype: voxel type as stored, byte order included.
        header_bytes: bytes of the header itself.
        offset: bytes before the first voxel.
        slope: factor from stored to real values.
        intercept: added after the factor, in the unit of the values.
        grid: geometry of each volume.
    """

    shape: tuple[int, int, int]
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
        """Bytes the whole (decompressed) file must have."""
        return self.offset + self.volumes * self.volume_bytes

    @property
    def is_scaled(self) -> bool:
        """Whether stored and real values differ."""
        return (self.slope, self.intercept) != (1.0, 0.0)


class HeaderSource(Protocol):
    """Where a header is read from: a file (`ByteStream`), or an image in memory.

    Attributes:
        name: of the file, for messages.
    """

    name: str

    def read(self, count: int, /) -> bytes:
        """Returns the next ``count`` bytes, fewer at the end."""
        ...

    def readinto(self, buffer: memoryview, /) -> object:
        """Fills ``buffer``."""
        ...

    def kind(self, start: bytes) -> FileKind | None:
        """Returns what begins with ``start``, if that is known and no NIfTI."""
        ...


def read_header(stream: HeaderSource, prefer: Form | None) -> NiftiHeader:
    """Reads and checks the header at the start of ``stream``; leaves the stream at the header's end.

    Raises:
        InputError: not a NIfTI file, or a header that contradicts itself.
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
            grid = Grid(shape, _affine(header, shape, prefer))
    except InputError as error:
        raise InputError(f'"{name}": {error}') from None
    result = NiftiHeader(shape, volumes, dtype, kind.sizeof_hdr, int(offset), slope, intercept, grid)
    if result.volume_bytes > MAX_VOLUME_BYTES or result.file_bytes > MAX_FILE_BYTES:
        raise InputError(
            f'"{name}": expected at most {MAX_VOLUME_BYTES / 2**30:g} GiB per volume and '
            f"{MAX_FILE_BYTES / 2**30:g} GiB in all, the header says {'×'.join(map(str, shape))} voxels "
            f"of {dtype.name} × {volumes}; crop the scan"
        )
    return result


def _shape(header: Nifti1Header, name: str) -> tuple[tuple[int, int, int], int]:
    dims = [int(size) for size in header["dim"]]
    if not 1 <= dims[0] <= 7 or any(size < 1 for size in dims[1 : dims[0] + 1]):
        raise InputError(f'"{name}": expected positive dimensions, got {dims[1:]}; the file is empty or damaged')
    if dims[0] < 3:
        raise InputError(f'"{name}": expected a 3D volume, got {dims[0]}D; give the whole scan, not one slice')
    return (dims[1], dims[2], dims[3]), math.prod(dims[4 : dims[0] + 1])


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
    if slope == 0 or (math.isnan(slope) and math.isnan(intercept)):  # both are ways to say: not scaled
        return 1.0, 0.0
    if not (math.isfinite(slope) and math.isfinite(intercept)):
        raise InputError(
            f'"{name}": expected finite scaling, got slope {slope:g}, intercept {intercept:g}; export it again'
        )
    return slope, intercept


def _affine(header: Nifti1Header, shape: tuple[int, int, int], prefer: Form | None) -> NDArray[np.float64]:
    unit = int(header["xyzt_units"]) & 7
    if unit not in _MILLIMETRES:
        raise InputError(f"units: expected millimetres (code 2), got code {unit}; correct the header")
    pixdim = np.asarray(header["pixdim"][1:4], float)
    if not (np.isfinite(pixdim).all() and (pixdim > 0).all()):
        raise InputError(f"spacing: expected positive millimetres, got pixdim {pixdim.tolist()}; correct the header")
    codes = {"sform": int(header["sform_code"]), "qform": int(header["qform_code"])}
    if not all(0 <= code <= _LAST_FORM_CODE for code in codes.values()):
        raise InputError(
            f"orientation: expected sform and qform codes 0…{_LAST_FORM_CODE}, got {codes}; correct the header"
        )
    present = [form for form, code in codes.items() if code > 0]
    if not present:
        raise InputError("orientation: neither sform nor qform is set, left and right are unknown; set one of them")
    if prefer is not None and prefer not in present:
        raise InputError(f"orientation: {prefer} was asked for, the file has only {present[0]}; leave the choice out")
    if prefer == "qform" or present == ["qform"]:
        return _qform(header)
    sform = np.asarray(header.get_sform(), float)
    if prefer == "sform":
        return sform
    checked = Grid(shape, sform)
    last = np.asarray(shape) - 1
    if np.abs((pixdim / checked.spacing - 1) * last).max() > _HALF_VOXEL:
        in_qform = "qform" in present
        rival = "pixdim (the qform's spacing)" if in_qform else "pixdim"
        choice = "--use-sform or --use-qform" if in_qform else "--use-sform, or correct the header"
        raise InputError(
            f"geometry: sform and {rival} disagree ({_mm(checked.spacing)} against {_mm(pixdim)}); "
            f"say which is right ({choice})"
        )
    if "qform" in present:
        _compare(checked, _qform(header))
    return sform


def _qform(header: Nifti1Header) -> NDArray[np.float64]:
    try:
        header = header.copy()
        if header["pixdim"][0] == 0:  # the standard: qfac 0 reads as 1
            header["pixdim"][0] = 1
        return np.asarray(header.get_qform(), float)
    except (HeaderDataError, ValueError):
        raise InputError(
            "geometry: the qform is not a rotation; correct the header, or --use-sform if that is set"
        ) from None


def _compare(sform: Grid, qform: NDArray[np.float64]) -> None:
    """Refuses two geometries that put any corner of the volume more than half a voxel apart."""
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in sform.shape], indexing="ij")).reshape(3, -1)
    corners = np.vstack([corners, np.ones(corners.shape[1])])
    apart = np.abs(np.linalg.inv(sform.affine) @ qform @ corners - corners).max()
    if not apart <= _HALF_VOXEL:
        raise InputError(
            f"geometry: sform ({sform.axes}, {_mm(sform.spacing)}) and qform place the volume's corners "
            f"{apart:.3g} voxels apart; say which is right (--use-sform or --use-qform)"
        )


def _mm(spacing: Any) -> str:
    return " × ".join(f"{step:.4g}" for step in spacing) + " mm"
