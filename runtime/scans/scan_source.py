"""What a scan on disk offers, in whatever format: a checked header, and planes that are read when they are needed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .geometry import Grid


class ScanSource(ABC):
    """A scan on disk whose header was read and checked, and whose voxels were not."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What messages call it."""

    @property
    @abstractmethod
    def grid(self) -> Grid:
        """The scan's grid; planes run along its third axis."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """Type of the values that `planes` yields: float32, or integers as they are stored."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know of the scan, one line each."""
        return ()

    @property
    def modality(self) -> str | None:
        """DICOM's Modality, such as ``CT``; None where the file does not say."""
        return None

    @abstractmethod
    def planes(self) -> Iterator[NDArray[Any]]:
        """Yields the planes [Y, X] of real values, from the first along the grid's third axis to the last.

        Raises:
            InputError: the scan is damaged or was changed since its header was read; this may only be detected after
                the last plane.
        """

    @abstractmethod
    def sha256(self) -> str:
        """Returns 64 hexadecimal digits that identify the scan's content on disk.

        Raises:
            InputError: it cannot be read, or was changed since its header was read.
        """

    @abstractmethod
    def check_memory(self) -> None:
        """Checks that the real values of the whole scan fit into memory.

        Raises:
            ResourceError: they do not.
        """
