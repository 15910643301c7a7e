from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bedside.runtime.memory import resident
from bedside.runtime.memory.resident import peak_resident_bytes, resident_bytes

MB = 10**6


def test_an_array_is_held_while_it_lives_and_remembered_by_the_peak():
    before = resident_bytes()
    array = np.ones(16 * MB)
    assert resident_bytes() - before == pytest.approx(128 * MB, rel=0.1)
    del array
    assert peak_resident_bytes() >= before + 115 * MB


def test_without_proc_the_peak_comes_from_getrusage(monkeypatch, tmp_path):
    expected = peak_resident_bytes()
    for name in ("_STATUS", "_STATISTICS"):
        monkeypatch.setattr(resident, name, Path(tmp_path) / "absent")
    assert peak_resident_bytes() == pytest.approx(expected, rel=0.05)
    assert resident_bytes() == peak_resident_bytes()
