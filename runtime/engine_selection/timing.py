"""Times a call on a shared machine as if its threads never had to wait for a CPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

Value = TypeVar("Value")
_THREADS = Path("/proc/self/task")
_DISTURBED = 0.1  # fraction of the threads' time spent waiting above which the CPU time is used


@dataclass(frozen=True)
class Timed(Generic[Value]):
    """A call's result and its time.

    Attributes:
        result: what the call returned.
        seconds: estimated time without other programs.
    """

    result: Value
    seconds: float


def timed(call: Callable[[], Value], threads: int | None) -> Timed[Value]:
    """Runs a call and times it.

    The time is that of the clock, unless the threads waited for a CPU for more than a tenth of it: then other programs
    were running, and the CPU time of this process divided by the threads is more accurate. Where the system does not
    report how long threads waited (outside Linux), the time is always that of the clock.

    Args:
        call: the function to run, without arguments.
        threads: number of CPU threads that share the work; None where another device does it, whose time is that of
            the clock.
    """
    waited_before, cpu, begun = _waited(), time.process_time(), time.perf_counter()
    result = call()
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    waited = sum(after - waited_before.get(thread, 0.0) for thread, after in _waited().items())
    return Timed(result, cpu / threads if threads is not None and waited > _DISTURBED * wall * threads else wall)


def _waited() -> dict[str, float]:
    """Returns, for each thread of this process, the seconds it was ready to run but had no CPU."""
    seconds: dict[str, float] = {}
    for account in _THREADS.glob("*/schedstat"):
        try:
            seconds[account.parent.name] = int(account.read_text(encoding="ascii").split()[1]) * 1e-9
        except (OSError, IndexError, ValueError):
            continue  # the thread has ended, or the system does not count: then the clock is used
    return seconds
