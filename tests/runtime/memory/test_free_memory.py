from __future__ import annotations

import pytest
from bedside.runtime import engines
from bedside.runtime.memory import free_memory as module
from bedside.runtime.memory.cgroup import Limits
from bedside.runtime.memory.meminfo import MachineMemory


def test_a_control_group_that_has_less_left_than_the_machine_decides(monkeypatch):
    monkeypatch.setattr(module, "read_limits", lambda: Limits(memory_free=12_345))
    assert module.free_memory() == 12_345


def test_without_a_limit_the_machine_decides(monkeypatch):
    monkeypatch.setattr(module, "read_limits", Limits)
    monkeypatch.setattr(module, "read_meminfo", lambda: MachineMemory(total=9 * 1024, available=7 * 1024))
    assert module.free_memory() == 7 * 1024


def test_where_the_system_tells_nothing_there_is_no_end(monkeypatch):
    monkeypatch.setattr(module, "read_limits", Limits)
    monkeypatch.setattr(module, "read_meminfo", lambda: MachineMemory(None, None))
    monkeypatch.setattr(module, "read_text", lambda path: "")
    assert module.free_memory() > 2**60


def test_a_limit_on_data_decides_where_it_leaves_least(monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(module, "read_limits", Limits)
    monkeypatch.setattr(module, "read_meminfo", lambda: MachineMemory(None, None))
    monkeypatch.setattr(module, "read_text", lambda path: "VmData:    1000 kB" if path.name == "status" else "")
    limits = {resource.RLIMIT_DATA: 5_000_000}
    unlimited = resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (limits.get(kind, unlimited), unlimited))
    assert module.free_memory() == 5_000_000 - 1000 * 1024


@pytest.mark.parametrize(("granted", "threads"), [(None, 8), (0.5, 1), (1.5, 2), (64.0, 8)])
def test_a_share_of_cpu_time_bounds_the_threads(monkeypatch, granted, threads):
    monkeypatch.setattr(engines.os, "sched_getaffinity", lambda process: set(range(8)))
    monkeypatch.setattr(engines, "read_limits", lambda: Limits(cpus=granted))
    assert engines.default_threads() == threads
