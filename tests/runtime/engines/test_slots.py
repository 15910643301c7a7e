"""The places of an engine, and closing while they are in use."""

from __future__ import annotations

import threading
import time

import pytest
from bedside.runtime import UsageError
from bedside.runtime.engines.slots import Slots


def test_no_more_run_at_the_same_time_than_there_are_slots():
    slots, running, most = Slots(["a", "b"]), [], []

    def work():
        with slots.hold() as slot:
            running.append(slot)
            most.append(len(running))
            time.sleep(0.01)
            running.remove(slot)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 2


def test_closing_waits_for_who_is_inside():
    slots, order = Slots(["only"]), []
    inside = threading.Event()

    def work():
        with slots.hold():
            inside.set()
            time.sleep(0.05)
            order.append("worked")

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait()
    slots.close()
    order.append("closed")
    thread.join()
    assert order == ["worked", "closed"]


def test_who_waits_while_it_closes_is_told():
    slots, told = Slots(["only"]), []

    def work():
        with pytest.raises(UsageError, match="the engine is closed"), slots.hold():
            pass
        told.append(True)

    with slots.hold():
        threads = [threading.Thread(target=target) for target in (slots.close, work)]
        threads[0].start()
        while not slots.closed:
            time.sleep(0.001)
        threads[1].start()
    for thread in threads:
        thread.join()
    assert told == [True]
