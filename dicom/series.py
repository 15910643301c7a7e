"""A DICOM series as a scan: its planes are decoded one by one."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import InputError, MissingExtraError
from ..runtime.memory.memory_limit import check_memory
from ..runtime.scans.byte_stream import Identity
from ..runtime.scans.geometry import Grid
from ..runtime.scans.scan_source import ScanSource
from ..runtime.scans.unchanged_file import unchanged_sha256
from ..runtime.shortage import raise_shortage
from .bounded_file import BoundedFile
from .frames import Frame
from .modality import shown_modality
from .quiet import quiet_libraries
from .stack import Stack

if TYPE_CHECKING:
    from pydicom import Dataset

_FLOAT32 = np.dtype(np.float32)
_DECODING_BYTES = 32  # per pixel; JPEG 2000 takes about 16


@dataclass(frozen=True)
class DicomSeries(ScanSource):
    """The slices of one series, in order. `Segmenter.segment` takes it in place of a file; make it with `open_series`.

    Attributes:
        stack: the slices and their grid.
        left_out: what its other files are, each kind with its number; empty where all are slices.
    """

    stack: Stack
    left_out: str = ""

    @property
    def name(self) -> str:
        """What messages call it; nothing of the patient."""
        return "DICOM series"

    @property
    def modality(self) -> str | None:
        """The modality of its slices; None where their headers have none."""
        return shown_modality(self._frames[0].modality) or None

    @property
    def grid(self) -> Grid:
        """The grid, from positions and orientations; the third axis runs along the slices."""
        return self.stack.grid

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32, or the stored integers where no slice is rescaled and none is missing."""
        frames = self._frames
        stored = {frame.stored for frame in frames}
        if len(stored) > 1 or self.stack.missing or any(frame.is_scaled for frame in frames):
            return _FLOAT32
        return stored.pop()

    @property
    def warnings(self) -> tuple[str, ...]:
        """That slices were missing, and that files of the series are no slices."""
        missing, said = self.stack.missing, []
        if missing:
            said.append(f"{missing} of {len(self.stack.slices)} slices were missing and are interpolated")
        if self.left_out:
            said.append(f"files of the series that are no slices are left out: {self.left_out}")
        return tuple(said)

    def planes(self) -> Iterator[NDArray[Any]]:
        """Yields the planes [Y, X] of real values; a missing slice is interpolated between its neighbours.

        Raises:
            MissingExtraError: pydicom is not installed.
            InputError: a file is damaged, compressed in a way that no installed package decodes, or was changed.
            ResourceError: memory or file descriptors ran out, or the disk failed.
        """
        dtype, slices = self.dtype, self.stack.slices
        last, last_place = None, -1
        for place, frame in enumerate(slices):
            if frame is None:
                continue
            plane = real_plane(frame).astype(dtype, copy=False)
            if last is not None:
                for between in range(last_place + 1, place):
                    share = (between - last_place) / (place - last_place)
                    yield ((1 - share) * last + share * plane).astype(dtype)
            yield plane
            last, last_place = plane, place

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of its slices, in order, each once."""
        return tuple(dict.fromkeys(frame.path for frame in self._frames))

    def sha256(self) -> str:
        """Returns the SHA-256 of all files' SHA-256, in the order of the slices.

        Raises:
            InputError: a file cannot be read, or was changed since its header was read.
            ResourceError: memory or file descriptors ran out, or the disk failed.
        """
        files = {frame.path: frame.identity for frame in self._frames}
        return hashlib.sha256("".join(unchanged_sha256(*file) for file in files.items()).encode()).hexdigest()

    def check_memory(self) -> None:
        """Checks that the real values of the whole series fit into memory.

        Raises:
            ResourceError: they do not.
        """
        check_memory(f"{self.name}:", math.prod(self.grid.shape) * self.dtype.itemsize)

    @property
    def _frames(self) -> list[Frame]:
        return [frame for frame in self.stack.slices if frame is not None]


@quiet_libraries()
def real_plane(frame: Frame) -> NDArray[Any]:
    """Decodes one slice [Y, X]: stored integers, or float32 where they are rescaled.

    MONOCHROME1 says how values are shown, not what they mean: it changes nothing (PS3.3, C.7.6.3.1.2).

    Raises:
        MissingExtraError: pydicom is not installed.
        InputError: the file is damaged, compressed in a way that no installed package decodes, or was changed.
        ResourceError: memory or file descriptors ran out, or the disk failed.
    """
    try:
        from pydicom.pixels.processing import apply_modality_lut
    except ImportError:
        raise MissingExtraError("pydicom", "dicom") from None
    name = frame.path.name
    try:
        with BoundedFile(frame.path) as file:
            if Identity.of(os.fstat(file.fileno())) != frame.identity:
                raise _RefusedError("the file was changed while it was read; try again once it is complete")
            values, header = _decoded(file, frame.index)
        if frame.has_table:
            values = apply_modality_lut(values, header)
        if values.shape != frame.size:
            raise _RefusedError(f"expected {frame.size} pixels, got {values.shape}; copy it again")
        if frame.has_table or not frame.is_scaled:
            return values.astype(_FLOAT32 if frame.has_table else frame.stored, copy=False)
        return (values * np.float64(frame.slope) + frame.intercept).astype(_FLOAT32)
    except _RefusedError as refused:
        raise InputError(f'"{name}": {refused}') from None
    except OSError as error:
        raise_shortage(error, f'"{name}"')
        raise InputError(f'"{name}": cannot be read ({error.strerror or "damaged"}); copy it again') from None
    except (RuntimeError, NotImplementedError):  # pydicom: no installed package decodes this
        # Of what each package raised, a MemoryError perhaps, pydicom keeps the text alone.
        check_memory(f'decoding "{name}"', math.prod(frame.size) * _DECODING_BYTES)
        raise InputError(
            f'"{name}": its compression cannot be decoded, or its pixels are damaged; copy it again, or decompress it '
            "with dcmdjpeg or gdcmconv --raw"
        ) from None
    except Exception as error:  # pydicom raises whatever a damaged element causes; its message may hold values
        raise_shortage(error, f'"{name}"')
        raise InputError(f'"{name}": its pixels are damaged ({type(error).__name__}); copy it again') from None


class _RefusedError(Exception):
    """What is wrong with a file, without its name."""


def _decoded(file: BinaryIO, index: int | None) -> tuple[NDArray[Any], Dataset]:
    """Returns the stored values of a frame, and the elements that say what they are."""
    import pydicom
    from pydicom import uid
    from pydicom.pixels.utils import pixel_array

    if index is not None:  # reads no other frame of the file
        header = pydicom.Dataset()
        return pixel_array(file, index=index, raw=True, ds_out=header), header
    header = pydicom.dcmread(file, force=True)
    meta = header.file_meta
    if "TransferSyntaxUID" not in meta:  # a file without the preamble and its group says it by its elements alone
        is_implicit, is_little = header.original_encoding
        little = uid.ImplicitVRLittleEndian if is_implicit else uid.ExplicitVRLittleEndian
        meta.TransferSyntaxUID = little if is_little else uid.ExplicitVRBigEndian
    return pixel_array(header, raw=True), header
