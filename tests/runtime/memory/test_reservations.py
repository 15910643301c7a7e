"""Memory that one scan reserved and has not allocated yet is not free for another."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from bedside.runtime.memory import reservations
from bedside.runtime.memory.reservations import Reservations


@dataclass(frozen=True)
class Plan:
    bytes: int


@pytest.fixture
def resident(monkeypatch):
    """The bytes that this process seems to hold; a test changes the first element."""
    held = [1000]
    monkeypatch.setattr(reservations, "resident_bytes", lambda: held[0])
    return held


def outstanding(shared):
    """Returns the bytes that a further scan would see as reserved."""
    seen = []

    def choose(reserved):
        seen.append(reserved)
        return Plan(0)

    with shared.reserve(choose):
        return seen[0]


def test_a_scan_in_progress_reserves_its_prediction(resident):
    shared = Reservations()
    assert outstanding(shared) == 0
    with shared.reserve(lambda reserved: Plan(300)):
        assert outstanding(shared) == 300
        with shared.reserve(lambda reserved: Plan(50)) as second:
            assert second == Plan(50)
            assert outstanding(shared) == 350
        assert outstanding(shared) == 300
    assert outstanding(shared) == 0


def test_bytes_that_were_allocated_are_not_reserved_any_more(resident):
    shared = Reservations()
    with shared.reserve(lambda reserved: Plan(300)):
        resident[0] = 1200
        assert outstanding(shared) == 100
        resident[0] = 2000
        assert outstanding(shared) == 0


def test_an_error_gives_the_reservation_back(resident):
    shared = Reservations()
    with pytest.raises(ZeroDivisionError), shared.reserve(lambda reserved: Plan(300)):
        _ = 1 / 0
    assert outstanding(shared) == 0
