from __future__ import annotations

import time

from bedside.devices.sensors import memory
from bedside.devices.sensors.memory import PeakMemory

from ...fresh_process import run_fresh

MB = 10**6
GROWS = """
import json
import numpy as np
from bedside.devices.sensors.memory import PeakMemory
with PeakMemory() as measured:
    array = np.ones(20_000_000)  # 160 MB, far more than this process has held
    del array
print(json.dumps({"exact": measured.exact, "above": measured.above_baseline}))
"""
HIDDEN = """
import json, time
import numpy as np
from bedside.devices.sensors.memory import PeakMemory
large = np.ones(20_000_000)  # 160 MB
del large
with PeakMemory() as measured:
    small = np.ones(5_000_000)  # 40 MB
    deadline = time.monotonic() + 60  # on a busy machine a sample may be late
    while measured.above_baseline < 36e6 and time.monotonic() < deadline:
        time.sleep(0.01)
    del small
print(json.dumps({"exact": measured.exact, "above": measured.above_baseline}))
"""


def test_an_array_that_lives_and_dies_in_the_block_is_in_the_peak() -> None:
    measured = run_fresh(GROWS)
    assert measured["exact"]
    assert 152 * MB <= measured["above"] <= 172 * MB


def test_a_smaller_peak_after_a_larger_one_is_sampled_and_not_the_old_one() -> None:
    measured = run_fresh(HIDDEN)
    assert not measured["exact"]
    assert 36 * MB <= measured["above"] <= 60 * MB


def test_the_largest_sample_counts_where_the_high_water_mark_does_not_grow(monkeypatch) -> None:
    samples = [100, 130, 170, 120]
    monkeypatch.setattr(memory, "resident_bytes", lambda: samples.pop(0) if samples else 110)
    monkeypatch.setattr(memory, "peak_resident_bytes", lambda: 500)
    with PeakMemory(interval=0.001) as measured:
        while samples:
            time.sleep(0.001)
    assert (measured.baseline, measured.peak, measured.above_baseline, measured.exact) == (100, 170, 70, False)
