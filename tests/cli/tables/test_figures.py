"""Figures in tables have as many digits as mean something."""

import math

import pytest
from bedside.cli.tables.figures import significant


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (0.0591234, "0.0591"), (2.4, "2.40"), (9.994, "9.99"), (9.996, "10.0"), (32.06, "32.1"), (99.96, "100"),
        (250.8, "251"), (1880.4, "1880"), (0.0, "0.00"), (-3.14159, "-3.14"), (math.inf, "inf"), (math.nan, "nan"),
    ],
)  # fmt: skip
def test_a_figure_has_three_digits_and_no_exponent(figure, text):
    assert significant(figure) == text


@pytest.mark.parametrize(("figure", "text"), [(0.59, "0.59"), (2.44, "2.4"), (9.96, "10"), (250.8, "251")])
def test_the_number_of_digits_may_be_chosen(figure, text):
    assert significant(figure, 2) == text
