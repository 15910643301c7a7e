import pytest
from bedside.runtime.errors import Cancelled
from bedside.runtime.hooks import STAGES, Hooks, stop_if
from bedside.runtime.stopwatch import Stopwatch


@pytest.mark.parametrize("cancel", [None, lambda: False, lambda: 0])
def test_without_a_true_answer_the_work_goes_on(cancel):
    stop_if(cancel)
    Hooks(cancel=cancel).stop_if_cancelled()


def test_a_true_answer_cancels():
    with pytest.raises(Cancelled, match="cancelled by the caller; nothing was written"):
        stop_if(lambda: True)
    with pytest.raises(Cancelled):
        Hooks(cancel=lambda: 1).stop_if_cancelled()


def test_progress_is_reported_where_the_caller_wants_it():
    seen = []
    Hooks().report(1, 3)
    Hooks(progress=lambda done, total: seen.append((done, total))).report(1, 3)
    assert seen == [(1, 3)]


def test_the_progress_of_a_part_counts_as_one_with_the_parts_before():
    seen, own = [], Stopwatch(STAGES)
    hooks = Hooks(progress=lambda done, total: seen.append((done, total)), cancel=lambda: True)
    part = hooks.part(4, 10, own)
    part.report(0, 6)
    part.report(6, 6)
    assert seen == [(4, 10), (10, 10)]
    assert (part.stopwatch, hooks.part(4, 10).stopwatch, part.cancel) == (own, hooks.stopwatch, hooks.cancel)


def test_each_segmentation_has_a_stopwatch_of_its_own_for_every_stage():
    first, second = Hooks(), Hooks()
    with first.stopwatch.stage("infer"):
        sum(range(1000))
    assert first.stopwatch.milliseconds["infer"] > 0
    assert second.stopwatch.milliseconds == dict.fromkeys(STAGES, 0.0)
