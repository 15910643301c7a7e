from __future__ import annotations

import time

import numpy as np
import pytest
from bedside.devices import memory
from bedside.devices.memory import PeakMemory, current_rss, peak_rss

MB = 10**6


def test_an_array_that_lives_and_dies_in_the_block_is_in_the_peak() -> None:
    with PeakMemory() as measured:
        array = np.ones((peak_rss() - current_rss()) // 8 + 8 * MB)  # surely above every earlier peak
        size = array.nbytes
        del array
    assert measured.exact
    assert size * 0.95 <= measured.above_baseline <= size * 1.05 + 4 * MB


def test_a_smaller_peak_after_a_larger_one_is_sampled_and_not_the_old_one() -> None:
    large = np.ones(20 * MB)  # 160 MB
    del large
    with PeakMemory() as measured:
        small = np.ones(5 * MB)  # 40 MB
        time.sleep(0.1)
        del small
    assert not measured.exact
    assert 36 * MB <= measured.above_baseline <= 60 * MB


def test_the_high_water_mark_is_never_below_the_present() -> None:
    assert peak_rss() >= current_rss() > 10 * MB


def test_without_proc_the_peak_comes_from_getrusage(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    expected = peak_rss()
    monkeypatch.setattr(memory, "_STATUS", memory.Path(str(tmp_path)) / "absent")
    assert peak_rss() == pytest.approx(expected, rel=0.05)
