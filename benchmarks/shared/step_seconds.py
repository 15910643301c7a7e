"""Times training steps on random crops, all in turn, in several rounds; the fastest counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

_ROUNDS = 4


def fastest_seconds(steps: Mapping[str, Callable[[], object]], rounds: int = _ROUNDS) -> dict[str, float]:
    """Returns the CPU seconds of each step: of this process, all its threads together.

    Args:
        steps: name → function that makes one training step, or another piece of work.
        rounds: calls of each that are timed; one before them includes one-time work.
    """
    seconds = dict.fromkeys(steps, float("inf"))
    for turn in range(rounds + 1):
        for name, step in steps.items():
            begun = time.process_time()
            step()
            if turn:
                seconds[name] = min(seconds[name], time.process_time() - begun)
    return seconds
