"""The ratio of two times, by hand: rounds of 2 and 8 against 1 and 1 give 4, and t with one degree is 12.706."""

import math

import pytest
from bedside.devices.measurement.ratio import Ratio, paired_ratio, spread, t_quantile, unpaired_ratio


def test_a_ratio_is_the_geometric_mean_with_students_interval():
    ratio = paired_ratio([2.0, 8.0], [1.0, 1.0])
    deviation = math.log(4) / math.sqrt(2)  # of log 2 and log 8
    half = 12.706 * deviation / math.sqrt(2)
    assert ratio.value == pytest.approx(4.0)
    assert ratio.low == pytest.approx(4 * math.exp(-half))
    assert ratio.high == pytest.approx(4 * math.exp(half))
    assert ratio.is_noise


def test_a_drift_that_touches_both_alike_widens_nothing():
    ratio = paired_ratio([2.0, 4.0, 8.0], [1.0, 2.0, 4.0])
    assert (ratio.low, ratio.high) == (pytest.approx(2.0), pytest.approx(2.0))
    assert not ratio.is_noise


def test_one_round_has_no_interval_and_shows_nothing():
    assert paired_ratio([3.0], [2.0]) == Ratio(pytest.approx(1.5), None, None, 1)
    assert paired_ratio([3.0], [2.0]).is_noise


def test_the_interval_covers_the_true_ratio_nineteen_times_in_twenty():
    import numpy as np

    rng = np.random.default_rng(0)
    times = np.exp(rng.normal(math.log(0.8), 0.1, (2000, 5)))
    ratios = [paired_ratio(list(each), [1.0] * 5) for each in times]
    covered = sum(ratio.low <= 0.8 <= ratio.high for ratio in ratios if ratio.low and ratio.high)
    assert 0.93 < covered / 2000 < 0.97


def test_the_quantile_above_the_table_is_close_to_that_of_more_degrees():
    assert t_quantile(30) > t_quantile(31) > t_quantile(1000) == pytest.approx(1.962, abs=1e-3)
    assert t_quantile(40) == pytest.approx(2.021, abs=2e-3)


def test_the_spread_is_a_share_of_the_mean():
    assert spread([9.0, 11.0]) == pytest.approx(math.sqrt(2) / 10)
    assert spread([5.0]) is None


@pytest.mark.parametrize(("times", "reference"), [([], []), ([1.0], [1.0, 2.0])])
def test_times_of_other_rounds_are_refused(times, reference):
    with pytest.raises(ValueError, match="same rounds"):
        paired_ratio(times, reference)


def test_an_unpaired_ratio_has_welchs_interval():
    ratio = unpaired_ratio([2.0, 8.0], [1.0, 1.0])
    error = math.log(4) ** 2 / 2 / 2  # the variance of log 2 and log 8, over two rounds; the reference has none
    assert ratio.value == pytest.approx(4.0)
    assert ratio.high == pytest.approx(4 * math.exp(12.706 * math.sqrt(error)))


def test_an_unpaired_ratio_of_one_round_has_no_interval_and_of_steady_ones_a_narrow_one():
    assert unpaired_ratio([3.0], [2.0, 2.0]) == Ratio(pytest.approx(1.5), None, None, 1)
    assert unpaired_ratio([3.0, 3.0], [2.0, 2.0, 2.0]).low == pytest.approx(1.5)
    with pytest.raises(ValueError, match="rounds of both"):
        unpaired_ratio([], [1.0])
