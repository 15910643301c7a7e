"""Labels of a list become the dense indices of a network's outputs, or are refused by name."""

import pytest
from bedside.runtime.errors import InputError
from bedside.training.data.formats.labels import dense_labels, listed_labels, means_background


@pytest.mark.parametrize(
    "listed", [{"0": "background", "1": "liver"}, {"background": 0, "liver": 1}, {"liver": "1", "bg": "0"}]
)
def test_every_form_of_a_list_is_read(listed):
    assert dense_labels(listed_labels(listed, "list"), None, "list").names == ("background", "liver")


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        ({"liver": [1, 2]}, "region of several values"),
        ({"liver": 1, "spleen": 1}, 'has the names "liver" and "spleen"'),
        ({"liver": 1.5}, "expected labels as"),
    ],
)
def test_other_forms_are_refused(listed, reason):
    with pytest.raises(InputError, match=reason):
        listed_labels(listed, "list")


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({}, "names no labels"),
        ({0: "liver"}, 'label 0 to be "background"'),
        ({2: "liver"}, "without gaps"),
        ({1: "background"}, "each name once"),
    ],
)
def test_labels_that_are_no_indices_are_refused(labels, reason):
    with pytest.raises(InputError, match=reason):
        dense_labels(labels, None, "list")


def test_usual_names_of_the_background_are_recognised():
    assert all(map(means_background, ("Clear Label", "BG", "un-labelled")))
    assert not means_background("liver")
