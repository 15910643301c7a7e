"""Opens a file for pydicom so that a damaged length in it allocates no more memory than the file has bytes."""

from __future__ import annotations

import io
import os
from pathlib import Path

_UNCHECKED = 2**20  # bytes that a read may ask for without a look at what is left


class BoundedFile(io.BufferedReader):
    """A file opened for reading, whose `read` asks for no more than what is left of it.

    pydicom reads as many bytes as an element says that it has. Python allocates them first: where the length is
    damaged, up to 4 GiB, which a small device lacks, though nothing but the file is at fault.

    Args:
        path: the file.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Returns the next ``size`` bytes, or what is left; all that is left where it is None or negative."""
        if size is None or size <= _UNCHECKED:
            return super().read(size)
        return super().read(min(size, max(self._size - self.tell(), 0)))
