from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from bedside.runtime import Grid, InputError, ResourceError, Volume
from bedside.runtime.memory import memory_limit
from bedside.runtime.opened_model import OpenedModel
from bedside.runtime.request import SegmentationRequest
from bedside.runtime.scans.scan import Scan

GB = 10**9
MIB = 2**20


class Engine:
    """An engine that has not run yet, and notes that it is closed."""

    parallel, has_run, closed = 1, False, False

    def close(self):
        self.closed = True


class Locator(Engine):
    """A locator whose plan takes some memory, and that notes how much is available for it."""

    bytes = 10 * MIB

    def best_plan(self, request, available):
        self.available = available
        return SimpleNamespace(bytes=self.bytes, windows=SimpleNamespace(shape=(10, 10, 10)))


@pytest.fixture
def request_of(task):
    def made(shape):
        volume = Volume(np.broadcast_to(np.int16(0), shape), Grid(shape, np.diag([3.0, 3.0, 3.0, 1.0])))
        return SegmentationRequest(Scan(volume), task, overlap=0.5)

    return made


def opened(limit=None, workspace=0, locator=None):
    return OpenedModel(Engine(), SimpleNamespace(workspace_bytes=workspace), limit, locator)


def test_what_the_engine_will_still_allocate_counts_until_it_has_run(request_of):
    model = opened(limit=100 * GB, workspace=100 * GB)
    with pytest.raises(ResourceError):
        model.plan(request_of((40, 40, 40)), None, reserved=0)
    model.engine.has_run = True
    assert model.unallocated_bytes == 0
    assert model.plan(request_of((40, 40, 40)), None, reserved=0).locating is None


@pytest.fixture
def roomy(monkeypatch):
    """A process that holds 100 MiB, on a machine with 100 GB to spare."""
    monkeypatch.setattr(memory_limit, "resident_bytes", lambda: 100 * MIB)
    monkeypatch.setattr(memory_limit, "free_memory", lambda: 100 * GB)


def test_the_locators_pass_is_planned_within_the_same_memory(request_of, roomy):
    locator = Locator()
    plan = opened(limit=50 * GB, workspace=3, locator=locator).plan(request_of((40, 40, 40)), locator, reserved=7)
    assert plan.locating.bytes == locator.bytes
    assert locator.available == 50 * GB - 100 * MIB - 7 - 3


def test_one_refusal_names_what_the_passes_and_the_results_need(request_of, roomy):
    """Not first the windows' need, and under a limit that fits that, the locator's, and then that of a report."""
    locator, request = Locator(), request_of((40, 40, 40))
    model = opened(limit=1, locator=locator)
    for locating, afterwards, needed in ((900, 0, 1001), (900, 1100, 1201)):  # the region, or the label map: below 1
        locator.bytes = locating * MIB
        with pytest.raises(ResourceError, match=f"needs about {needed:,} MiB"):
            model.plan(request, locator, reserved=0, afterwards=afterwards * MIB)


def test_a_label_map_that_no_file_can_hold_is_refused(request_of):
    with pytest.raises(InputError, match="expected a volume of at most 4 GiB"):
        opened().plan(request_of((2000, 2000, 2000)), None, reserved=0)


def test_a_scan_longer_than_any_patient_is_refused_before_its_windows_are_placed(request_of, monkeypatch):
    monkeypatch.setattr("bedside.runtime.execution_plan.plan_windows", None)
    with pytest.raises(InputError, match="expected a scan of at most 4000 mm, got 60000 mm"):
        opened().plan(request_of((20_000, 20_000, 1)), None, reserved=0)


def test_memory_that_runs_out_while_a_scan_is_planned_is_a_resource_error(request_of, monkeypatch):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr("bedside.runtime.execution_plan.plan_windows", full)
    with pytest.raises(ResourceError, match="memory ran out while the scan was planned"):
        opened().plan(request_of((40, 40, 40)), None, reserved=0)


def test_closing_closes_both_engines():
    model = opened(locator=Locator())
    model.close()
    assert (model.engine.closed, model.locator.closed) == (True, True)
