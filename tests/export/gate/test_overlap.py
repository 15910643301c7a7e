"""The cheapest overlap that loses almost nothing, by figures a person can check."""

from __future__ import annotations

import pytest
from bedside.export.gate.overlap import OVERLAPS, overlap_curve, recommended
from bedside.runtime import Bundle
from bedside.runtime.bundles.figures import OverlapPoint


def curve(*points: tuple[float, float, float, float]) -> list[OverlapPoint]:
    """Points of (overlap, windows, Dice of the liver, Dice of the pancreas)."""
    return [
        OverlapPoint(overlap=overlap, dice={"liver": liver, "pancreas": pancreas}, windows=windows, seconds=windows)
        for overlap, windows, liver, pancreas in points
    ]


@pytest.mark.parametrize(("lost", "overlap"), [(0.0019, 0.25), (0.0021, 0.5)])
def test_the_fewest_windows_within_two_thousandths_of_the_best(lost, overlap):
    points = curve((0.0, 1, 0.5, 0.5), (0.25, 2, 0.9 - lost, 0.9 - lost), (0.5, 8, 0.9, 0.9), (0.75, 64, 0.9, 0.9))
    chosen = recommended(points, "openvino fp32")
    assert chosen.overlap == overlap
    assert "with openvino fp32" in chosen.reason
    assert "at best 0.9000" in chosen.reason


def test_an_organ_that_loses_more_than_a_hundredth_is_not_hidden_by_the_mean():
    points = curve((0.25, 2, 0.919, 0.88), (0.5, 8, 0.9, 0.9))
    assert recommended(points, "").overlap == 0.5


def test_where_every_overlap_needs_equal_windows_the_default_stays():
    points = curve(*((overlap, 1, 0.9, 0.9) for overlap in OVERLAPS))
    assert (recommended(points, "").overlap, recommended(points, "").reason[:11]) == (0.5, "the default")


def test_without_an_organ_in_any_case_the_default_stays():
    points = [OverlapPoint(overlap=each, dice={}, windows=n, seconds=1) for each, n in ((0.0, 8), (0.5, 27))]
    chosen = recommended(points, "")
    assert (chosen.overlap, chosen.reason) == (0.5, "the default: no gate case has an organ to measure Dice on")


def test_the_most_windows_are_no_default_where_only_they_are_good():
    chosen = recommended(curve((0.0, 1, 0.5, 0.5), (0.5, 8, 0.8, 0.8), (0.75, 64, 0.9, 0.9)), "openvino fp32")
    assert chosen.overlap == 0.75
    assert chosen.reason.startswith("the fewest windows within 0.002 of the best mean Dice on the gate cases")


def test_of_overlaps_that_need_equal_windows_the_one_closest_to_the_default_is_chosen():
    points = curve((0.0, 1, 0.9, 0.9), (0.125, 1, 0.9, 0.9), (0.25, 2, 0.9, 0.9))
    assert recommended(points, "").overlap == 0.125


def test_the_curve_counts_windows_and_scores_each_overlap(bundle_path, toy_case):
    """20 voxels in windows of 16: two windows; 16 in 12 and 12 in 8 likewise, and more of them with more overlap."""
    with Bundle.open(bundle_path) as bundle:
        variant = bundle.manifest.variants[0]
    begun: list[float] = []
    points = overlap_curve(bundle_path, variant, [toy_case], threads=1, ignore=None, starting=begun.append)
    assert [point.overlap for point in points] == begun == list(OVERLAPS)
    assert [point.windows for point in points[:2]] == [8, 8]
    assert points[-1].windows > 8
    assert all(point.dice["fat"] > 0.9 for point in points)
