"""What is wrong for every variant is raised; what fails in an engine becomes the answer to its step."""

import pytest
from bedside.devices.measurement.measuring import STEPS, Failure, Figures, Measuring, OpenScans, Scan, Start, Windows
from bedside.runtime.errors import BundleError, InputError, MissingExtraError, ResourceError, UsageError

from .contender import Scripted


def answer(step, contender):
    steps = []
    with Measuring(contender).ready() as take:
        return take(step, lambda done, total: steps.append((done, total))), steps


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ResourceError("no device"), "no device"),
        (MemoryError(), "out of memory"),
        (ValueError("the reason"), "ValueError: the reason"),
    ],
)
def test_the_failure_of_an_engine_is_the_answer_to_its_step(error, reason):
    assert answer(Start(), Scripted(step="start", error=error))[0] == Failure(reason)


@pytest.mark.parametrize(
    "error",
    [InputError("no scan"), BundleError("no bundle"), UsageError("wrong"), MissingExtraError("openvino", "openvino")],
)
def test_a_refusal_is_raised(error):
    with pytest.raises(type(error)) as caught:
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
