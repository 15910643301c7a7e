from __future__ import annotations

import time

import numpy as np
from bedside.devices.memory import PeakMemory
from bedside.runtime.memory.resident import peak_resident_bytes, resident_bytes

MB = 10**6


def test_an_array_that_lives_and_dies_in_the_block_is_in_the_peak() -> None:
    with PeakMemory() as measured:
        array = np.ones((peak_resident_bytes() - resident_bytes()) // 8 + 8 * MB)  # surely above every earlier peak
        size = array.nbytes
        del array
    assert measured.exact
    assert size * 0.95 <= measured.above_baseline <= size * 1.05 + 4 * MB


def test_a_smaller_peak_after_a_larger_one_is_sampled_and_not_the_old_one() -> None:
    large = np.ones(20 * MB)  # 160 MB
    del large
    with PeakMemory() as measured:
        small = np.ones(5 * MB)  # 40 MB
        deadline = time.monotonic() + 60  # on a busy machine a sample may be late
        while measured.above_baseline < 36 * MB and time.monotonic() < deadline:
            time.sleep(0.01)
        del small
    assert not measured.exact
    assert 36 * MB <= measured.above_baseline <= 60 * MB
