from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from bedside.runtime import Grid, InputError, ResourceError, Volume
from bedside.runtime.opened_model import OpenedModel
from bedside.runtime.request import SegmentationRequest
from bedside.runtime.scans.scan import Scan

GB = 10**9


class Engine:
    """An engine that has not run yet, and notes that it is closed."""

    parallel, has_run, closed = 1, False, False

    def close(self):
        self.closed = True


class Locator(Engine):
    """A locator that notes what its plan is asked with."""

    def plan(self, request, memory_limit, reserved):
        self.asked = memory_limit, reserved
        return "coarse"


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


def test_the_locators_pass_is_planned_within_the_same_memory(request_of):
    locator = Locator()
    plan = opened(limit=100 * GB, locator=locator).plan(request_of((40, 40, 40)), locator, reserved=7)
    assert (plan.locating, locator.asked) == ("coarse", (100 * GB, 7))


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
