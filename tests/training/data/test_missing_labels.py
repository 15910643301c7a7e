"""Labels that no case has are found, and the warnings say what follows from it."""

import pytest
from bedside.training.data.missing_labels import (
    missing_in_training_warning,
    missing_in_validation_warning,
    missing_labels,
)

LABELS = ("background", "liver", "spleen")


@pytest.mark.parametrize(
    ("cases", "missing"), [([], ("liver", "spleen")), ([{0, 1}, {0}], ("spleen",)), ([{1}, {2}], ())]
)
def test_the_background_is_never_missing(cases, missing):
    assert missing_labels(cases, LABELS) == missing


def test_one_missing_label_is_named():
    assert missing_in_training_warning(["spleen"], LABELS).startswith("in no training case: spleen;")
    assert missing_in_validation_warning(["spleen"], LABELS).startswith("in no validation case: spleen;")


def test_without_any_label_there_is_nothing_to_learn_and_no_score():
    assert "nothing but background" in missing_in_training_warning(LABELS[1:], LABELS)
    assert "there is no score" in missing_in_validation_warning(LABELS[1:], LABELS)


def test_without_a_missing_label_there_is_no_warning():
    assert (missing_in_training_warning([], LABELS), missing_in_validation_warning([], LABELS)) == (None, None)
