"""Gives freed memory back to the system; the C library keeps it for later otherwise."""

from __future__ import annotations

import ctypes
import sys


def return_freed_heap() -> None:
    """Returns the pages of freed heap to the system, where the C library has a function for it (glibc on Linux).

    An engine that has read and compiled a model has freed copies of the model's weights, in blocks so small that glibc
    keeps their pages: up to twice the size of the weights.
    """
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
    if trim is not None:
        trim(0)
