"""Padding is left out of a scan's values; the image's own lowest value is not."""

import numpy as np
import pytest
from bedside.runtime.preprocessing.distribution import Distribution

IMAGE = np.linspace(-1000, 400, 1401, dtype=np.float32)


@pytest.mark.parametrize("padding", [[-2000.0], [-3024.0, -32768.0]])
def test_padding_is_removed(padding):
    values = np.concatenate([IMAGE, *(np.full(200, value, np.float32) for value in padding)])
    found = Distribution.of(values)
    assert (found.padded, found.floor, found.values.size) == (True, -1000, 1401)


def test_air_is_not_padding():
    found = Distribution.of(np.concatenate([IMAGE, np.full(900, -1000, np.float32)]))
    assert (found.padded, found.floor, found.values.size) == (False, None, 2301)


def test_shares_are_of_the_values():
    found = Distribution(np.array([0, 1, 2, 3], np.float32), padded=False)
    assert (found.share(0, 3), found.above(0), found.below(1)) == (0.5, 0.75, 0.25)
    assert not found.has_fractions


def test_metal_at_the_highest_value_is_left_out_where_it_is_frequent():
    found = Distribution(np.array([1, 2, 3, 3071, 3071], np.float32), padded=False)
    assert found.unsaturated.values.tolist() == [1, 2, 3]
