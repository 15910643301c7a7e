"""Arrays in memory pages of their own, which return to the system as soon as the array is freed."""

from __future__ import annotations

import math
import mmap
import sys
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_WORTHWHILE = 1 << 16  # bytes; smaller arrays would leave much of their last page unused


def mmap_array(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Returns a zeroed C-contiguous array; raises MemoryError where NumPy does.

    The C library keeps freed blocks of some megabytes in its heap and, where sizes mix, cannot reuse all of them: after
    minutes of allocating and freeing arrays, a process held a tenth more than it used.
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
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANON)  # private: forked children must not share them
