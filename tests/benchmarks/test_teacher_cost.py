"""The logic of the scripts in benchmarks/teacher_cost; the measurements themselves are repeated by hand."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from bedside.teacher.simulated_step import StepMemory

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "teacher_cost"
MB = 10**6


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return import_module


def rows(script, plain_peak=3000, peak=1000):
    row = script("teacher_cost").Row
    return [
        row(implementation="plain", peak=plain_peak * MB, heap=4000 * MB, seconds=60.0, predicted=None),
        row(implementation="bedside", peak=peak * MB, heap=1500 * MB, seconds=30.0, predicted=900 * MB),
    ]


def test_ratios_are_to_the_plain_network(script):
    text = script("teacher_cost").table(rows(script))
    assert "| plain | 3000 | 1.00 | – | – | 4000 | 60.00 | 1.00 |" in text
    assert "| bedside | 1000 | 3.00 | 900 | 0.90 | 1500 | 30.00 | 2.00 |" in text


def test_a_missed_goal_is_said(script):
    verdict = script("teacher_cost").verdict
    assert verdict(rows(script)).count("met") == 2
    assert "1.50 times less memory (goal 2: missed), 2.00 times faster (goal 1.5: met)" in verdict(
        rows(script, peak=2000)
    )


def test_implementations_that_compute_something_else_are_named(script):
    measured = script("measure_step").Measured
    same = measured(implementation="plain", peak=1, seconds=1.0, loss=1.5, gradient=2.0)
    other = measured(implementation="bedside", peak=1, seconds=1.0, loss=1.5, gradient=2.1)
    assert script("teacher_cost").disagreements([same, same]) == []
    assert script("teacher_cost").disagreements([same, other]) == ["gradient norm of bedside: 2.1, of plain: 2"]


def test_the_prediction_beside_the_measurement_leaves_out_what_is_not_run(script):
    memory = StepMemory(weights=10, gradients=2, optimiser=4, activations=20, peak=50)
    assert script("teacher_cost").above_the_network(memory) == 36
