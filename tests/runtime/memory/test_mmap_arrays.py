from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from bedside.runtime.memory.mmap_arrays import mmap_array

from ...fresh_process import run_fresh

MIB = 2**20
FORKS = """
import os
from bedside.runtime.memory.mmap_arrays import mmap_array
array = mmap_array((2**20,), "u1")
child = os.fork()
if child == 0:
    array[...] = 7
    os._exit(0)
os.waitpid(child, 0)
print(array.max())
"""
RETURNED = """
import json
from bedside.runtime.memory.mmap_arrays import mmap_array
from bedside.runtime.memory.resident import resident_bytes
before = resident_bytes()
array = mmap_array((2**26,), "u1")
array[...] = 1
with_array = resident_bytes()
del array
print(json.dumps({"before": before, "with_array": with_array, "after": resident_bytes()}))
"""


@pytest.mark.parametrize("shape", [(3,), (4, 5, 6), (64, 1024, 2)])
def test_an_array_is_zeroed_and_whole(shape):
    array = mmap_array(shape, np.float16)
    assert (array.shape, array.dtype, array.flags.c_contiguous, array.any()) == (shape, np.float16, True, False)
    array[...] = 1
    assert array.all()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the system tells only the peak")
def test_its_memory_goes_back_with_it():
    measured = run_fresh(RETURNED)
    assert measured["with_array"] - measured["before"] > 60 * MIB
    assert measured["after"] - measured["before"] < 8 * MIB


def test_no_room_is_a_memory_error():
    with pytest.raises(MemoryError):
        mmap_array((2**60,), np.uint8)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_writes_into_its_own():
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
