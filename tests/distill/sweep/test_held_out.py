"""The cases that a sweep is scored on, and the doubts whether they are held out."""

from dataclasses import replace

import pytest
from bedside.distill.sweep.held_out import HeldOut, held_out_doubts, learned_by
from bedside.runtime.errors import UsageError
from bedside.training.runs.learned_from import LearnedFrom

IMAGES = frozenset({"t1", "t2"})


def doubts(**scans):
    """Returns the doubts about runs with the scans that each learned from; None: the run has no record."""
    learned = [
        (run, LearnedFrom() if each is None else LearnedFrom(scans=frozenset(each), knows_all=True))
        for run, each in scans.items()
    ]
    return held_out_doubts(learned, IMAGES, "test")


def test_without_labelled_test_cases_the_validation_cases_are_scored(cubes):
    unlabelled = tuple(replace(case, label=None) for case in cubes.dataset.test)
    assert HeldOut.of(cubes.dataset) == HeldOut("test", cubes.dataset.test)
    assert HeldOut.of(replace(cubes.dataset, test=unlabelled)) == HeldOut("validation", cubes.dataset.validation)
    with pytest.raises(UsageError, match="a sweep has nothing to score; set some apart with --validation-fraction"):
        HeldOut.of(replace(cubes.dataset, test=(), validation=()))


def test_runs_that_learned_from_other_scans_leave_no_doubt():
    assert doubts(a={"u1"}, b={"u2"}) == ()


def test_the_scored_scans_that_any_run_learned_from_are_counted_and_these_runs_named():
    (line,) = doubts(a={"t1", "u1"}, b={"t2"}, c={"u2"})
    assert line.startswith("2 of the 2 test scans, or copies of them, are among those from which a, b learned, ")


def test_test_scans_that_chose_the_epoch_of_a_run_are_counted_and_these_runs_named():
    def doubts_of(case_list, *validation):
        learned = [
            (name, LearnedFrom(knows_all=True, validation_scans=scans))
            for name, scans in zip("abc", validation, strict=True)
        ]
        return held_out_doubts(learned, IMAGES, case_list)

    (line,) = doubts_of("test", frozenset({"t1", "v1"}), None, frozenset({"t1"}))
    assert line == (
        "1 of the 2 test scans, or copies of them, are validation scans of a, c: they chose the best epoch, and any "
        "class offsets were fitted to them, so that their Dice is too high for new scans"
    )
    assert doubts_of("test", frozenset({"v1"}), None, frozenset({"v1"})) == ()
    assert doubts_of("validation", IMAGES, None, None) == ()  # a warning of its own says what these did


def test_networks_that_trainings_build_on_are_asked_before_these_begin(cubes, bundle_path):
    def doubts_about(case_list, cases, *networks):
        images = HeldOut(case_list, cases).check(cubes.dataset.labels)
        return held_out_doubts(learned_by(networks), images, case_list)

    test = cubes.dataset.test
    assert doubts_about("test", test) == doubts_about("test", test, cubes.teacher) == ()
    (line,) = doubts_about("training", cubes.dataset.training, cubes.teacher)
    assert line.startswith(
        f"1 of the 1 training scans, or copies of them, are among those from which {cubes.teacher.name} learned"
    )
    (line,) = doubts_about("test", test, bundle_path)
    assert line.startswith(f"not every scan is recorded from which {bundle_path.name}, or what taught them, learned")


def test_two_networks_of_one_name_are_both_asked():
    taught, other = (LearnedFrom(scans=frozenset({scan}), knows_all=True) for scan in ("t1", "u1"))
    (line,) = held_out_doubts([("run", taught), ("run", other), ("run", taught)], IMAGES, "test")
    assert line.startswith("1 of the 2 test scans, or copies of them, are among those from which run learned, ")


def test_a_run_that_does_not_record_its_scans_leaves_the_doubt():
    assert doubts(a=None, b={"u1"}) == (
        "not every scan is recorded from which a, or what taught them, learned: the test cases are not known to be "
        "held out",
    )
