"""Which options fit, which are on the Pareto front, and which is recommended."""

from dataclasses import replace

import pytest
from bedside.devices.planner.choice import judged, reason_of_choice, recommended, shown_bytes, shown_seconds, with_front
from bedside.devices.planner.report import Limits, Option
from bedside.devices.planner.roofline import Interval
from bedside.runtime.axes import XYZ


def option(seconds: float, memory: float = 1e9, precision: str = "fp32", **fields) -> Option:
    given = {
        "model": "a", "engine": "tensorrt", "precision": precision, "processor": "GPU", "overlap": 0.25,
        "is_usual_overlap": True,
        "patch": XYZ(64, 64, 64), "windows": 10, "gflop": 1.0, "tier": "data sheet",
        "window_seconds": Interval.within_factor(seconds / 10), "seconds": Interval.within_factor(seconds),
        "memory": Interval.within_factor(memory), "joules": None, "dice": None,
    }  # fmt: skip
    return Option(**{**given, **fields})


def test_what_fits_at_worst_has_no_doubt():
    fits = judged(option(4), Limits(seconds=10))
    assert (fits.exclusions, fits.doubts) == ((), ())


def test_what_fits_as_predicted_may_miss_the_limit():
    assert judged(option(8), Limits(seconds=10)).doubts == ("time: at worst 16 s, the limit is 10 s",)


def test_what_is_predicted_above_the_limit_does_not_fit():
    (reason,) = judged(option(12), Limits(seconds=10)).exclusions
    assert reason == "time: 12 s predicted (at best 6 s), the limit is 10 s"
    (reason,) = judged(option(40), Limits(seconds=10)).exclusions
    assert reason == "time: at best 20 s, the limit is 10 s"


def test_what_the_devices_own_system_may_not_leave_is_in_doubt():
    """6.9 GB on a Jetson of 8 GB, which leaves programs at least 5.6 GB."""
    limits = Limits(memory=8_000_000_000, usable_memory=5_600_000_000)
    large = option(1, memory=6.9e9)
    fits = judged(replace(large, memory=Interval(6.8e9, 6.9e9, 7.0e9)), limits)
    assert (fits.exclusions, fits.doubts) == (
        (), ("memory: at worst 7 GB, and the device's own system may leave 5.6 GB",),
    )  # fmt: skip
    assert judged(option(1, memory=2.7e9), limits).doubts == ()
    assert judged(option(1, memory=6e9), limits).doubts == ("memory: at worst 12 GB, the limit is 8 GB",)


def test_a_network_faster_than_the_scan_is_unpacked_does_not_decide_its_time():
    """512 × 512 × 400 voxels: unpacking alone takes 0.63 s."""
    voxels = 512 * 512 * 400
    (doubt,) = judged(option(0.135), Limits(seconds=10), voxels).doubts
    assert doubt == (
        "time: 0.135 s of the network is less than unpacking the file takes; benchmark a scan on the device"
    )
    assert judged(option(0.7), Limits(seconds=10), voxels).doubts == ()
    assert judged(option(0.135), Limits(), voxels).doubts == ()


def test_measured_times_of_all_but_the_network_count_against_the_limit():
    (doubt,) = judged(option(1, other_seconds=3.5), Limits(seconds=4)).doubts
    assert doubt == "time: 1 s of the network and about 3.5 s of all else, the limit is 4 s"
    assert judged(option(0.1, other_seconds=3.5), Limits(seconds=4), 10**9).doubts == ()


def test_every_limit_that_is_missed_is_a_reason():
    both = judged(option(40, memory=9e9), Limits(seconds=10, memory=3_000_000_000))
    assert both.exclusions[1] == "memory: at best 4.5 GB, the limit is 3 GB"


def test_what_is_slower_and_less_exact_is_not_on_the_front():
    options = with_front([option(3, precision="int8"), option(2), option(1, precision="int8")])
    assert [each.on_front for each in options] == [False, True, True]


def test_dice_decides_between_models():
    worse, better = with_front([option(2, dice=0.8), option(1, dice=0.9, model="b")])
    assert [worse.on_front, better.on_front] == [False, True]


def test_models_of_unknown_accuracy_do_not_rule_each_other_out():
    assert all(each.on_front for each in with_front([option(2), option(1, model="b")]))


def test_equal_options_are_both_on_the_front():
    assert all(each.on_front for each in with_front([option(1), option(1)]))


def test_a_file_that_is_some_bytes_smaller_rules_nothing_out():
    assert all(each.on_front for each in with_front([option(1, memory=1e9), option(1, memory=0.995e9)]))


def test_of_equals_the_preferred_engine_is_recommended():
    options = with_front([option(1, engine=name) for name in ("onnxruntime", "openvino")])
    assert recommended(options).engine == "openvino"


@pytest.mark.parametrize("seconds", [(10, 10, 10, 10), (10.1, 10, 10.05, 10), (10, 10.05, 10.1, 9.95)])
@pytest.mark.parametrize("dice", [(0.8, 0.8005, 0.8003, 0.799), (0.79, 0.81, 0.81, 0.8), (0.8, 0.8, 0.8, 0.8)])
def test_options_of_two_models_do_not_rule_each_other_out_in_a_circle(dice, seconds):
    """By exactness within a model and by each option's own Dice between models, each would have its better."""
    kinds = [("a", "fp32"), ("a", "int8"), ("b", "fp32"), ("b", "int8")]
    options = with_front(
        [
            option(time, precision=precision, model=model, dice=score)
            for (model, precision), time, score in zip(kinds, seconds, dice, strict=True)
        ]
    )
    assert any(each.on_front for each in options)
    assert recommended(options).model in {
        name for (name, _), score in zip(kinds, dice, strict=True) if score == max(dice)
    }


def test_a_fast_option_that_has_lost_accuracy_rules_no_better_model_out():
    options = with_front([option(2, dice=0.9), option(1, precision="int8", dice=0.2), option(1.5, dice=0.8, model="b")])
    assert all(each.on_front for each in options)


def test_what_does_not_fit_rules_nothing_out():
    fast = judged(option(1, memory=9e9), Limits(memory=1_000_000_000))
    slow = judged(option(2, memory=1e8), Limits(memory=1_000_000_000))
    assert [each.on_front for each in with_front([fast, slow])] == [False, True]


def test_the_most_exact_precision_that_fits_is_recommended():
    options = with_front([judged(each, Limits(seconds=3)) for each in (option(4), option(2, precision="fp16"))])
    assert recommended((*options, *with_front([option(1, precision="int8")]))).precision == "fp16"


def test_the_best_dice_is_recommended():
    options = with_front([option(1, dice=0.8, gflop=9.0), option(2, dice=0.9, model="b")])
    assert recommended(options).model == "b"


def test_dice_of_different_scans_is_not_compared():
    options = with_front(
        [option(2, dice=0.8, dice_of="gate cases", gflop=9.0), option(1, dice=0.9, dice_of="neck", model="b")]
    )
    assert all(each.on_front for each in options)
    assert recommended(options).model == "a"
    assert reason_of_choice(options).endswith("Dice of different scans (gate cases, neck) is not compared")


def test_a_model_of_known_dice_goes_before_a_larger_one_of_unknown_accuracy_and_that_is_said():
    options = with_front([option(2, gflop=9.0), option(1, dice=0.7, dice_of="hippocampus", model="b")])
    assert recommended(options).model == "b"
    assert reason_of_choice(options) == "best Dice of what fits, 0.700 on hippocampus; accuracy unknown: a"


def test_a_precision_without_a_dice_of_its_own_is_kept_and_that_is_said():
    options = with_front(
        [option(2, precision="fp16", dice=None), option(1, precision="int8", dice=0.7), option(1, dice=0.6, model="b")]
    )
    assert (recommended(options).model, recommended(options).precision) == ("a", "fp16")
    assert "its Dice in fp16 was not measured" in reason_of_choice(options)


def test_a_model_whose_measured_precision_does_not_fit_keeps_its_rank():
    slow = judged(option(9, dice=0.9), Limits(seconds=3))
    options = with_front([slow, option(2, precision="fp16"), option(1, dice=0.8, gflop=9.0, model="b")])
    assert (recommended(options).model, recommended(options).precision) == ("a", "fp16")
    assert reason_of_choice(options).startswith("best Dice of what fits, 0.900")
    spoiled = with_front([slow, option(2, precision="int8", dice=0.2), option(1, dice=0.8, model="b")])
    assert recommended(spoiled).model == "b"


def test_without_any_dice_the_reason_says_so():
    options = with_front([option(2, gflop=9.0), option(1, model="b")])
    assert reason_of_choice(options) == (
        "the network with most operations, then the most exact precision of what fits; accuracy unknown"
    )
    assert reason_of_choice(with_front([judged(option(40), Limits(seconds=1))])) == ""


def test_the_overlap_that_the_model_recommends_is_kept():
    options = with_front([option(2, overlap=0.5, is_usual_overlap=False), option(1)])
    assert all(each.on_front for each in options)
    assert recommended(options).overlap == 0.25


def test_nothing_that_fits_is_no_recommendation():
    assert recommended(with_front([judged(option(40), Limits(seconds=1))])) is None


def test_figures_for_people():
    assert [shown_seconds(0.0421), shown_seconds(3.14), shown_seconds(1234.5)] == ["0.0421 s", "3.14 s", "1,234 s"]
    assert [shown_bytes(34e6), shown_bytes(2.14e9)] == ["34 MB", "2.14 GB"]
