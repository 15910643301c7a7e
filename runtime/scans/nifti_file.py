"""A NIfTI file with a checked header: reads its voxels plane by plane or whole, and verifies the file to its end."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Choice, InputError
from ..memory.memory_limit import check_memory
from .byte_stream import ByteStream, Identity
from .nifti_header import Form, NiftiHeader, read_header
from .scan_source import ScanSource
from .unchanged_file import unchanged_sha256

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .geometry import Grid

_MOST_CHOICES = 1000  # that a refusal lists: a header may claim any number of volumes


@dataclass(frozen=True)
class NiftiFile(ScanSource):
    """One 3D volume of a .nii or .nii.gz file.

    Attributes:
        path: the file.
        header: the checked header.
        index: index of the volume in the file, from 0.
        identity: identity of the file when its header was read.
    """

    path: Path
    header: NiftiHeader
    index: int
    identity: Identity

    @staticmethod
    def open(path: Path, volume: int | None = None, prefer: Form | None = None) -> NiftiFile:
        """Reads and checks the header and, as far as possible without decompressing, the file's length.

        Args:
            path: a .nii or .nii.gz file.
            volume: index of the volume in a 4D file, from 0; None requires a single volume.
            prefer: the form to use if sform and qform disagree; None refuses the file.

        Raises:
            InputError: the file is not NIfTI with one valid geometry, has no such volume, or is too short.
        """
        with ByteStream(path) as stream:
            header = read_header(stream, prefer)
            index = volume_index(header, volume, path.name)
            stream.check_room(header.file_bytes)
        return NiftiFile(path, header, index, stream.identity)

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @property
    def grid(self) -> Grid:
        """The grid of the volume."""
        return self.header.grid

    @property
    def yields_float32(self) -> bool:
        """Whether `planes` yields float32 values and not the stored integers."""
        return self.header.is_scaled or self.header.dtype.kind == "f"

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values of `planes`."""
        return np.dtype(np.float32) if self.yields_float32 else self.header.dtype.newbyteorder("=")

    def planes(self) -> Iterator[NDArray[Any]]:
        """Yields planes [Y, X] of real values: float32, or the stored integers if the file has no scaling.

        Values beyond float32 become Inf.

        Raises:
            InputError: the file is truncated, damaged, or was changed since its header was read; this may only be
                detected after the last plane.
        """
        for plane in self.stored_planes():
            yield self.real(plane) if self.yields_float32 else plane

    def real(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Converts stored values to real values, as float32."""
        with np.errstate(over="ignore", invalid="ignore"):
            if self.header.is_scaled:
                stored = stored * np.float64(self.header.slope) + self.header.intercept
            return stored.astype(np.float32, copy=False)

    def stored_planes(self) -> Iterator[NDArray[Any]]:
        """Yields planes [Y, X] of stored values in this machine's byte order; each plane is a new array.

        Raises:
            InputError: as `planes`.
        """
        header = self.header
        depth, height, width = header.shape.dhw
        native = header.dtype.newbyteorder("=")
        with ByteStream(self.path) as stream:
            stream.check_unchanged(self.identity)
            stream.check_length(header.file_bytes)
            stream.skip(header.offset + self.index * header.volume_bytes)
            for _ in range(depth):
                flat = np.empty(height * width * header.dtype.itemsize, np.uint8)
                stream.readinto(flat.data)
                yield flat.view(header.dtype).reshape(height, width).astype(native, copy=False)
            stream.skip((header.volumes - 1 - self.index) * header.volume_bytes)
            stream.finish()

    def stored(self) -> NDArray[Any]:
        """Returns the stored values of the whole volume [X, Y, Z], in Fortran order.

        Raises:
            InputError: as `planes`.
            ResourceError: the volume does not fit into memory.
        """
        self.check_memory()
        data = np.empty(self.header.shape, self.header.dtype.newbyteorder("="), order="F")
        for k, plane in enumerate(self.stored_planes()):
            data[:, :, k] = plane.T
        return data

    def sha256(self) -> str:
        """Returns the SHA-256 of the file.

        Raises:
            InputError: it cannot be read, or was changed since its header was read.
        """
        return unchanged_sha256(self.path, self.identity)

    def check_memory(self) -> None:
        """Checks that the real values of the whole volume fit into memory.

        Raises:
            ResourceError: they do not.
        """
        check_memory(f'"{self.name}":', math.prod(self.header.shape) * self.dtype.itemsize)


def volume_index(header: NiftiHeader, volume: int | None, name: str) -> int:
    """Returns the index of the volume to read, from 0.

    Raises:
        InputError: the file has no such volume, or has several and ``volume`` is None.
    """
    if volume is None and header.volumes > 1:
        raise InputError(
            f'"{name}": expected one 3D volume, got {header.volumes}; choose one (--volume N, from 0)',
            [Choice("volume", str(index), f"volume {index}") for index in range(min(header.volumes, _MOST_CHOICES))],
        )
    index = volume or 0
    if not 0 <= index < header.volumes:
        raise InputError(f'"{name}": expected a volume from 0 to {header.volumes - 1}, got {index}')
    return index
