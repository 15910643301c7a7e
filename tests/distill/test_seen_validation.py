"""Networks that have, or may have, learned from the validation scans are named; test_validation.py: teachers."""

from types import SimpleNamespace

from bedside.distill.seen_validation import warn_of_seen_validation
from bedside.training.runs.learned_from import LearnedFrom


def warned(caplog, learned_from, validation=("scan", "other")):
    prepared = SimpleNamespace(validation_scans=frozenset(validation))
    warn_of_seen_validation(learned_from, "it", prepared)
    return [record.getMessage() for record in caplog.records]


def test_validation_scans_that_it_learned_from_are_counted_by_their_content(caplog):
    (line,) = warned(caplog, LearnedFrom(scans=frozenset({"scan", "more"}), knows_all=True))
    assert line.startswith("1 of the 2 validation scans, or copies of them, are among those from which it learned, ")
    assert line.endswith("; give both the same validation cases")


def test_the_same_validation_scans_are_no_cause(caplog):
    same = frozenset({"scan", "other"})
    assert warned(caplog, LearnedFrom(scans=frozenset({"more"}), validation_scans=same, knows_all=True)) == []


def test_scans_of_which_not_all_are_known_leave_the_doubt(caplog):
    (line,) = warned(caplog, LearnedFrom(scans=frozenset({"more"})))
    assert line == (
        "not every scan is recorded from which it, or what taught it, learned: the validation scans are not known to "
        "be held out"
    )


def test_without_validation_cases_there_is_no_dice_to_be_too_high(caplog):
    assert warned(caplog, LearnedFrom(), validation=()) == []
