"""Networks that have, or may have, learned from the validation cases are named; test_validation.py: teachers."""

from types import SimpleNamespace

import pytest
from bedside.distill.seen_validation import warn_of_seen_validation
from bedside.training.runs.learned_from import LearnedFrom

NEW = {"dataset": "toy", "data_hash": "all", "validation_hash": "mine"}


def warned(caplog, learned_from, validation=("scan", "other"), fold=None):
    run = SimpleNamespace(config=SimpleNamespace(**NEW, fold=fold))
    prepared = SimpleNamespace(run=run, validation=validation, validation_scans=frozenset(validation))
    warn_of_seen_validation(learned_from, "it", prepared)
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    ("learned_from", "said"),
    [
        (LearnedFrom("toy", "all", "other"), "it was trained on another split of this data set"),
        (LearnedFrom("toy", "part", "other"), "it was trained on another selection of this data set"),
        (LearnedFrom(data_hash="all"), "it was trained on this data set: if it has learnt from"),
        (LearnedFrom(data_hash="else"), "it was trained on other data, or on another selection of these"),
        (LearnedFrom(), "it does not say what it was trained on"),
    ],
)
def test_what_may_have_seen_the_validation_cases_is_named(caplog, learned_from, said):
    (line,) = warned(caplog, learned_from)
    assert line.startswith(said)


@pytest.mark.parametrize("learned_from", [LearnedFrom("toy", "all", "mine"), LearnedFrom("phantoms", "else", "other")])
def test_the_same_validation_cases_and_another_data_set_are_no_cause(caplog, learned_from):
    assert warned(caplog, learned_from) == []


@pytest.mark.parametrize("learned_from", [LearnedFrom("toy", "all", "other"), LearnedFrom(data_hash="all")])
def test_without_validation_cases_there_is_no_dice_to_be_too_high(caplog, learned_from):
    assert warned(caplog, learned_from, validation=()) == []


@pytest.mark.parametrize(
    ("fold", "advice"), [(0, "give both the same ones (--fold)"), (None, "give both the same ones")]
)
def test_a_fold_is_advised_only_where_the_training_has_one(caplog, fold, advice):
    (line,) = warned(caplog, LearnedFrom("toy", "all", "other"), fold=fold)  # a validation list refuses --fold
    assert line.endswith(advice)


@pytest.mark.parametrize("knows_all", [True, False])
def test_validation_scans_that_it_learned_from_are_counted_by_their_content(caplog, knows_all):
    learned = LearnedFrom("another", "else", "else", frozenset({"scan", "more"}), knows_all)
    (line,) = warned(caplog, learned)
    assert line.startswith("it has learned from 1 of the 2 validation scans, directly or through what taught it")


def test_another_split_is_no_cause_where_each_scan_learned_from_is_known(caplog):
    assert warned(caplog, LearnedFrom("toy", "part", "other", frozenset({"more"}), knows_all=True)) == []


def test_scans_of_which_not_all_are_known_leave_the_doubt(caplog):
    (line,) = warned(caplog, LearnedFrom("toy", "part", "other", frozenset({"more"}), knows_all=False))
    assert line.startswith("it was trained on another selection of this data set")
