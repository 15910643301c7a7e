from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bedside.runtime.memory import resident
from bedside.runtime.memory.resident import counting_helper, owed_bytes, peak_resident_bytes, resident_bytes

from ...fresh_process import run_fresh

MB = 10**6
ARRAY = """
import json
import numpy as np
from bedside.runtime.memory.resident import counting_helper, peak_resident_bytes, resident_bytes
before = resident_bytes()
array = np.ones(16_000_000)
with_array = resident_bytes()
del array
print(json.dumps({"before": before, "with_array": with_array, "peak": peak_resident_bytes()}))
"""


def test_an_array_is_held_while_it_lives_and_remembered_by_the_peak():
    measured = run_fresh(ARRAY)
    assert measured["with_array"] - measured["before"] == pytest.approx(128 * MB, rel=0.1)
    assert measured["peak"] >= measured["before"] + 115 * MB


def test_without_proc_the_peak_comes_from_getrusage(monkeypatch, tmp_path):
    expected = peak_resident_bytes()
    for name in ("_STATUS", "_STATISTICS"):
        monkeypatch.setattr(resident, name, Path(tmp_path) / "absent")
    assert peak_resident_bytes() == pytest.approx(expected, rel=0.05)
    assert resident_bytes() == peak_resident_bytes()


def test_the_memory_of_a_helper_counts_while_it_runs():
    program = "data = bytearray(50_000_000); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as helper:
        helper.stdout.readline()
        before = resident_bytes()
        with counting_helper(helper.pid):
            assert resident_bytes() - before > 50_000_000
            assert owed_bytes() == 0
            helper.stdin.close()
            helper.wait()
            assert abs(resident_bytes() - before) < 10_000_000
            assert owed_bytes() > 50_000_000  # what takes its place will hold as much
        assert abs(resident_bytes() - before) < 10_000_000
        assert owed_bytes() == 0
