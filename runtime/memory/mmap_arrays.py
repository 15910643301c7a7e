"""Arrays in memory pages of their own, which go back to the system the moment the array is gone."""

from __future__ import annotations

import math
import mmap
import sys
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_WORTHWHILE = 1 << 16  # bytes; below it the pages would be mostly edges


def mmap_array(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Returns a zeroed C-contiguous array; raises MemoryError where NumPy does.

    The C library keeps freed blocks of some megabytes in its heap and, where sizes mix, cannot reuse all of them: with
    arrays that come and go for minutes, a process held a tenth more than it used.
    """
    count = math.prod(shape)
    size = count * np.dtype(dtype).itemsize
    if size < _WORTHWHILE:
        return np.zeros(shape, dtype)
    try:
        return np.frombuffer(_pages(size), dtype, count).reshape(shape)
    except OSError:
        raise MemoryError(f"no {size} bytes left") from None


def _pages(size: int) -> mmap.mmap:
    if sys.platform == "win32":
        return mmap.mmap(-1, size)
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANON)  # else children that are forked would share them
