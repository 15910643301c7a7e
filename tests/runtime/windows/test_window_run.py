"""The engine runs the windows of a plan in order, without those of air."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from bedside.runtime import Cancelled
from bedside.runtime.execution_plan import ExecutionPlan
from bedside.runtime.hooks import Hooks
from bedside.runtime.windows.axis_order import AxisOrder
from bedside.runtime.windows.plan import plan_windows
from bedside.runtime.windows.window_run import WindowRun

PATCH = (2, 3, 4)
ORDER = AxisOrder((2, 0, 1))  # x outermost
WINDOWS = plan_windows(ORDER.sizes((2, 3, 20)), ORDER.sizes(PATCH), 0.0)  # five windows along x
PLAN = ExecutionPlan(streamed=False, order=ORDER, windows=WINDOWS, dtype=np.float32, bytes=0)


class NumberedInput:
    """Windows filled with their number; some hold no body."""

    found_body = True

    def __init__(self, air=()):
        self._air = air

    def prepare(self, layers):
        self._layers = layers

    def window(self, start):
        assert start[0] in [WINDOWS.axes[0][layer] for layer in self._layers]
        return np.full(WINDOWS.patch, start[0] // 4, np.float32)

    def has_body(self, start):
        return start[0] // 4 not in self._air

    def finish(self):
        return ()


class EchoEngine:
    """Returns each patch as two classes; the first of several patches is the last to be finished."""

    def __init__(self, parallel=1, broken=()):
        self.parallel, self._broken = parallel, broken
        self._second = threading.Event()
        self.seen = []

    def infer(self, patches):
        assert patches.shape == (1, 1, *PATCH)
        number = int(patches[0, 0, 0, 0, 0])
        self.seen.append(number)
        if self.parallel > 1 and number == 0:
            self._second.wait(20)
        self._second.set()
        return np.repeat(patches if number not in self._broken else patches * np.nan, 2, axis=1)


def numbers(run):
    return [None if scores.logits is None else int(scores.logits[0, 0, 0, 0]) for scores in run.windows()]


@pytest.mark.parametrize("parallel", [1, 2, 3])
def test_results_come_in_the_plans_order_and_axes(parallel):
    run = WindowRun(EchoEngine(parallel), PLAN, NumberedInput(), True, Hooks())
    scores = list(run.windows())
    assert [each.start for each in scores] == list(WINDOWS.starts)
    assert [int(each.logits[0, 0, 0, 0]) for each in scores] == [0, 1, 2, 3, 4]
    assert scores[0].logits.shape == (2, 4, 2, 3)  # x, z, y


def test_windows_without_body_are_skipped_where_that_is_asked_for():
    engine = EchoEngine()
    run = WindowRun(engine, PLAN, NumberedInput(air=(1, 4)), True, Hooks())
    assert numbers(run) == [0, None, 2, 3, None]
    assert (run.computed, run.skipped, engine.seen) == (3, 2, [0, 2, 3])
    run = WindowRun(engine, PLAN, NumberedInput(air=(1, 4)), False, Hooks())
    assert numbers(run) == [0, 1, 2, 3, 4]
    assert (run.computed, run.skipped) == (5, 0)


class OddWindows:
    """Organs in windows with an odd number."""

    def has_organ(self, start):
        return start[0] // 4 % 2


def test_windows_without_organ_are_left_out_and_counted_apart_from_air():
    engine = EchoEngine()
    run = WindowRun(engine, PLAN, NumberedInput(air=(1, 4)), True, Hooks(), OddWindows())
    assert numbers(run) == [None, None, None, 3, None]
    assert (run.computed, run.skipped, run.without_organ, engine.seen) == (1, 2, 2, [3])


def test_logits_with_nan_are_left_out_with_a_warning():
    run = WindowRun(EchoEngine(broken=(0, 3)), PLAN, NumberedInput(), True, Hooks())
    assert numbers(run) == [None, 1, 2, None, 4]
    assert run.warnings() == ("the network returned NaN or infinity in 2 of 5 windows; these were left out",)


def test_progress_counts_the_windows_and_cancelling_stops_the_engine():
    seen, engine = [], EchoEngine()
    hooks = Hooks(progress=lambda done, total: seen.append((done, total)), cancel=lambda: (2, 5) in seen)
    with pytest.raises(Cancelled):
        list(WindowRun(engine, PLAN, NumberedInput(), True, hooks).windows())
    assert seen == [(0, 5), (1, 5), (2, 5)]
    assert engine.seen[-1] < 4
