"""A refused scan, wrong for every variant, is raised; what fails for one becomes the answer to its step."""

import pytest
from bedside.devices.measurement.measuring import STEPS, Failure, Figures, Measuring, OpenScans, Scan, Start, Windows
from bedside.runtime.errors import BundleError, InputError, ResourceError, UsageError

from .contender import Scripted


def answer(step, contender):
    steps = []
    with Measuring(contender).ready() as take:
        return take(step, lambda done, total: steps.append((done, total))), steps


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ResourceError("no device"), "no device"),
        (BundleError("self-test failed"), "self-test failed"),
        (UsageError("no such device"), "no such device"),
        (MemoryError(), "out of memory"),
        (ValueError("the reason"), "ValueError: the reason"),
    ],
)
def test_the_failure_of_a_variant_is_the_answer_to_its_step(error, reason):
    assert answer(Start(), Scripted(step="start", error=error))[0] == Failure(reason)


def test_a_refused_scan_is_raised():
    error = InputError("no scan")
    with pytest.raises(InputError) as caught:
        answer(Scan(), Scripted(step="scan", error=error))
    assert caught.value is error


def test_a_step_answers_with_figures_memory_and_version():
    figures, steps = answer(Scan(), Scripted())
    assert isinstance(figures, Figures)
    assert figures.result.total_s == 1.5
    assert 0 < figures.baseline <= figures.peak
    assert figures.engine_version == "1"
    assert steps == [(STEPS // 2, STEPS)]


def test_windows_are_called_as_often_as_asked():
    figures, _ = answer(Windows(0.0, 7, first=False), Scripted())
    assert isinstance(figures, Figures)
    assert len(figures.result) == 7


def test_the_segmenter_is_a_step_of_its_own():
    contender = Scripted()
    answer(OpenScans(), contender)
    assert contender.done == ["open_scans"]
