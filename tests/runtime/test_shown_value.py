"""A refused value is shown as it is where it is short, and by its type elsewhere."""

from fractions import Fraction

import numpy as np
import pytest
from bedside.runtime.shown_value import shown, with_article


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", '""'),
        ("x" * 41, f'"{"x" * 40}…"'),
        (None, "None"),
        (True, "True"),
        (10**18, "a number of more than 18 digits"),
        (Fraction(10**400, 3), "a number of more than 300 digits"),
        (np.float32(0.25), "0.25"),
        (2.0, "2.0"),
        (np.float32(-3), "-3.0"),
        (np.int16(2), "2"),
        (1e300, "1e+300"),
        (float("inf"), "inf"),
        (int, "the type int"),
        ((1, "a"), '(1, "a")'),
        ([1, [2]], "a list"),
        (list(range(6)), "a list"),
        (np.ones(2), "a NumPy array"),
        (object(), "an object"),
    ],
)
def test_values_in_messages(value, text):
    assert shown(value) == text


def test_a_vowel_has_an():
    assert (with_article("int"), with_article("Grid")) == ("an int", "a Grid")
