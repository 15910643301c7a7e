"""Variants take turns, and what fails in one leaves the others alone."""

import pytest
from bedside.devices.measurement import rounds
from bedside.devices.measurement.measuring import Failure, Measuring
from bedside.devices.measurement.rounds import TOTAL, Meter, Rounds, Schedule, measure_sustained
from bedside.runtime.errors import BundleError

from .contender import Scripted


class InProcess:
    """A worker that takes its steps in this process, and notes them."""

    log: list[tuple[str, str]] = []  # noqa: RUF012 - emptied by each test

    def __init__(self, work: Measuring, *, hide_stderr: bool) -> None:
        self._work = work

    def run(self, step, progress=None):
        self.log.append((self._work.contender.label, type(step).__name__))
        with self._work.ready() as take:
            return take(step, progress or (lambda done, total: None))

    def close(self):
        self.log.append((self._work.contender.label, "closed"))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


@pytest.fixture
def log(monkeypatch):
    monkeypatch.setattr(rounds, "KeptWorker", InProcess)
    InProcess.log.clear()
    return InProcess.log


def measured(tmp_path, contenders, schedule, progress=None):
    return Rounds(schedule, tmp_path, Meter(len(contenders), progress)).measure(contenders)


def test_every_second_round_goes_backwards_and_the_first_is_measured_twice(log, tmp_path):
    measured(tmp_path, [Scripted("a"), Scripted("b"), Scripted("c")], Schedule(2, 0.0, 1))
    order = "".join(name for name, step in log if step == "Windows")
    assert order == "abca" + "acba"
    assert "".join(name for name, step in log if step == "Scan") == "abc"


def test_a_variant_alone_is_not_repeated(log, tmp_path):
    (run,) = measured(tmp_path, [Scripted("a")], Schedule(3, 0.0, 0))
    assert [step for _, step in log if step == "Windows"] == ["Windows"] * 3
    assert run.repeat is None


def test_a_failure_ends_one_variant_and_the_others_go_on(log, tmp_path):
    contenders = [Scripted("a"), Scripted("b", "window", ValueError("broken")), Scripted("c")]
    runs = measured(tmp_path, contenders, Schedule(2, 0.0, 1))
    assert [run.failure for run in runs] == ["", "ValueError: broken", ""]
    assert [name for name, step in log if step == "Windows"].count("b") == 1
    assert [len(run.scans) for run in runs] == [1, 0, 1]


def test_the_first_ones_failure_leaves_the_others_to_be_compared(log, tmp_path):
    contenders = [Scripted("a", "start", ValueError("broken")), Scripted("b"), Scripted("c")]
    runs = measured(tmp_path, contenders, Schedule(2, 0.0, 0))
    ratio = runs[2].ratio_of_windows(runs[1])
    assert ratio is not None
    assert ratio.rounds == 2


def test_a_failed_self_test_ends_a_variant_before_its_windows(log, tmp_path):
    contenders = [Scripted("a", "self_test", BundleError("0.5 of the labels agree")), Scripted("b")]
    runs = measured(tmp_path, contenders, Schedule(1, 0.0, 1))
    assert [run.failure for run in runs] == ["0.5 of the labels agree", ""]
    assert {name for name, step in log if step == "Windows"} == {"b"}


def test_what_loads_no_scans_leaves_the_figures_of_the_others(log, tmp_path):
    contenders = [Scripted("a", "open_scans", BundleError("no locator")), Scripted("b")]
    runs = measured(tmp_path, contenders, Schedule(1, 0.0, 1))
    assert [(run.failure, len(run.scans)) for run in runs] == [("no locator", 0), ("", 1)]


def test_progress_never_goes_back_and_stays_within_its_total(log, tmp_path):
    steps = []
    contenders = [Scripted("a"), Scripted("b")]
    measured(tmp_path, contenders, Schedule(3, 0.0, 2), lambda done, total: steps.append((done, total)))
    assert steps == sorted(steps)
    assert steps[-1] == (2 * TOTAL, 2 * TOTAL)


def test_short_of_memory_further_groups_include_the_first(log, tmp_path, monkeypatch):
    monkeypatch.setattr(rounds, "free_memory", lambda: 0)
    runs = measured(tmp_path, [Scripted("a"), Scripted("b"), Scripted("c")], Schedule(1, 0.0, 0))
    order = "".join(name for name, step in log if step == "Windows")
    assert order == "a" + "aba" + "aca"
    assert [run.failure for run in runs] == ["", "", ""]
    assert len(runs[0].report(runs[0], 1, None, 0).rounds_ms) == 1


def test_short_of_memory_further_groups_include_the_first_that_works(log, tmp_path, monkeypatch):
    monkeypatch.setattr(rounds, "free_memory", lambda: 0)
    contenders = [Scripted("a", "start", ValueError("broken")), Scripted("b"), Scripted("c")]
    runs = measured(tmp_path, contenders, Schedule(1, 0.0, 1))
    assert "".join(name for name, step in log if step == "Windows") == "b" + "bcb"
    assert runs[2].ratio_of_windows(runs[1]) is not None
    assert runs[2].ratio_of_scans(runs[1]) is not None


def test_of_a_group_only_the_process_of_its_first_that_works_stays(log, tmp_path, monkeypatch):
    free = iter([1 << 60, 1 << 60, 0])  # three fit, the fourth does not
    monkeypatch.setattr(rounds, "free_memory", lambda: next(free))
    measured(tmp_path, [Scripted("a", "scan", ValueError("broken")), *map(Scripted, "bcd")], Schedule(1, 0.0, 1))
    fourth = log.index(("d", "Start"))
    closed = [name for name, step in log[:fourth] if step == "closed"]
    assert [closed.count(name) for name in "abc"] == [2, 1, 2]  # once each after the cached start
    assert [name for name, step in log[fourth:] if step == "Windows"] == ["b", "d", "b"]


def test_the_first_that_works_is_measured_twice_in_a_round(log, tmp_path):
    contenders = [Scripted("a", "window", ValueError("broken")), Scripted("b"), Scripted("c")]
    runs = measured(tmp_path, contenders, Schedule(2, 0.0, 0))
    assert len(runs[1].again) == 1  # in the second round; in the first, the failed one had that place


def test_the_failure_of_the_sustained_run_is_its_outcome(log, tmp_path):
    runs = measured(tmp_path, [Scripted("a")], Schedule(1, 0.0, 0))
    runs[0].contender = Scripted("a", "window", MemoryError())
    assert measure_sustained(runs, 3.0, Meter(1, None)) == Failure("a: out of memory")
