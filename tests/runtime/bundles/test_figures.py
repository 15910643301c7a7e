import pytest
from bedside.runtime.bundles.figures import DiceDrop, OverlapPoint
from bedside.runtime.errors import FieldError


def test_a_loss_is_shown_with_its_interval_and_a_gain_is_negative():
    assert str(DiceDrop(mean=0.0123, low=-0.001, high=0.03)) == "+0.0123 (-0.0010 … +0.0300)"


def test_a_loss_without_interval_says_so_by_leaving_it_out():
    assert str(DiceDrop(mean=0.0123)) == "+0.0123"


def test_the_mean_dice_of_an_overlap_is_that_of_its_organs():
    assert OverlapPoint(overlap=0.5, dice={"fat": 0.5, "bone": 1.0}, windows=8, seconds=1).mean_dice == 0.75


def test_an_overlap_of_one_is_refused():
    with pytest.raises(FieldError, match="expected 0 ≤ overlap < 1, got 1"):
        OverlapPoint(overlap=1.0, dice={}, windows=1, seconds=1)
