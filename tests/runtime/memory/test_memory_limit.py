from __future__ import annotations

import pytest
from bedside.runtime import ResourceError
from bedside.runtime.memory import memory_limit as module
from bedside.runtime.memory.memory_limit import MemoryBudget

MIB = 2**20


def test_what_needs_more_than_is_free_is_refused_with_both_figures(monkeypatch):
    monkeypatch.setattr(module, "free_memory", lambda: 3 * 2**20)
    module.check_memory("the scan", 3 * 2**20)
    with pytest.raises(
        ResourceError, match=r"^the scan needs about 2,048 MiB, 3 MiB are free; free memory or crop it$"
    ):
        module.check_memory("the scan", 2**31, "crop it")


@pytest.mark.parametrize(("limit", "available"), [(None, 300 * MIB), (150 * MIB, 50 * MIB), (10**12, 300 * MIB)])
def test_a_scan_may_take_what_is_free_and_what_the_limit_leaves(limit, available):
    budget = MemoryBudget(held=100 * MIB, free=300 * MIB, limit=limit)
    assert budget.available == available
    budget.check(available)
    with pytest.raises(ResourceError):
        budget.check(available + 1)


def test_the_message_names_what_decides_the_limit_or_what_is_free():
    with pytest.raises(ResourceError, match=r"^with this scan the process needs about 160 MiB, the limit is 150 MiB;"):
        MemoryBudget(held=100 * MIB, free=300 * MIB, limit=150 * MIB).check(60 * MIB)
    with pytest.raises(ResourceError, match=r"^this scan needs about 60 MiB, 50 MiB are free; free memory or crop"):
        MemoryBudget(held=100 * MIB, free=50 * MIB, limit=10**12).check(60 * MIB)


def test_the_message_names_what_needs_the_memory_and_what_to_do_about_that():
    with pytest.raises(
        ResourceError,
        match=r"^with the report .* needs about 160 MiB, .*; raise the limit to 214 MiB or leave it out$",
    ):
        MemoryBudget(held=100 * MIB, free=300 * MIB, limit=150 * MIB).check(60 * MIB, "the report", "leave it out")


def test_the_figure_needed_is_never_that_of_the_limit_nor_of_what_is_free():
    with pytest.raises(ResourceError, match=r"needs about 151 MiB, the limit is 150 MiB"):
        MemoryBudget(held=100 * MIB, free=300 * MIB, limit=150 * MIB).check(50 * MIB + 1)
    with pytest.raises(ResourceError, match=r"needs about 51 MiB, 50 MiB are free"):
        MemoryBudget(held=0, free=50 * MIB + 1, limit=None).check(50 * MIB + 2)


@pytest.mark.parametrize("held", [100, 110, 140])
def test_the_limit_that_the_message_advises_is_enough_though_the_process_then_holds_more(held):
    """160 MiB were needed; 30 % more are still within the limit."""
    with pytest.raises(ResourceError, match=r"; raise the limit to 214 MiB or crop the scan$"):
        MemoryBudget(held=100 * MIB, free=300 * MIB, limit=150 * MIB).check(60 * MIB)
    MemoryBudget(held=held * MIB, free=300 * MIB, limit=214 * MIB).check(60 * MIB)


def test_reservations_count_as_held_and_are_not_free(monkeypatch):
    monkeypatch.setattr(module, "resident_bytes", lambda: 100)
    monkeypatch.setattr(module, "free_memory", lambda: 1000)
    assert MemoryBudget.now(limit=500, reserved=30) == MemoryBudget(held=130, free=970, limit=500)


def test_so_does_the_memory_that_an_ended_helpers_replacement_will_take(monkeypatch):
    monkeypatch.setattr(module, "resident_bytes", lambda: 100)
    monkeypatch.setattr(module, "free_memory", lambda: 1000)
    monkeypatch.setattr(module, "owed_bytes", lambda: 200)
    assert MemoryBudget.now(limit=500, reserved=30) == MemoryBudget(held=330, free=770, limit=500)
