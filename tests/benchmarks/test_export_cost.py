"""The logic of the script in benchmarks/export_cost; the measurement itself is repeated by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "export_cost"


@pytest.fixture
def script(import_script):
    return import_script(SCRIPTS, ("export_cost",))("export_cost")


def test_a_step_has_the_seconds_and_the_peak_until_the_next_and_a_remark_begins_none(script, monkeypatch):
    now, peaks = iter([10.0, 14.0, 15.0]), iter([2.0, 3.0])
    monkeypatch.setattr(script.time, "process_time", lambda: next(now))
    monkeypatch.setattr(script, "peak_gb", lambda: next(peaks))
    monkeypatch.setattr(script, "forget_peak", lambda: None)
    steps = script.Steps()
    for done, note in ((0, "patches"), (0, "a remark"), (1, "model"), (2, "done")):
        steps(done, 2, note)
    assert steps.costs == {"patches": (4.0, 2.0), "model": (1.0, 3.0)}
    assert steps.table().splitlines()[-1] == "| all | 5.0 | 3.00 |"


def test_the_peak_is_that_since_it_was_forgotten(script):
    block = np.ones(100 * 2**20, np.uint8)
    before = script.peak_gb()
    del block
    script.forget_peak()
    assert script.peak_gb() < before - 0.05
