"""Dice of the gate cases and what a variant lost; ignored voxels are left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bedside.export.gate.dice import PackedLabels, VariantScores, dice_drops, segment_cases, spurious_volumes
from bedside.runtime import Bundle, Grid, InputError, write_volume
from bedside.runtime.bundles.figures import SpuriousVolume
from bedside.runtime.scans.nifti import read_labels
from scipy import stats

FAT_HU, BONE_HU = 0, 1000
NAMES = ("background", "fat", "bone")


def scores(*cases: tuple[float, float]) -> VariantScores:
    """Results with the Dice of (fat, bone) of each case."""
    return VariantScores(NAMES, np.array([(1.0, *case) for case in cases]), (), (), (), np.zeros((len(cases), 3)))


@pytest.fixture
def variant(bundle_path):
    with Bundle.open(bundle_path) as bundle:
        return bundle.manifest.variants[0]


@pytest.fixture
def case(tmp_path):
    """Eight planes of fat beside air; the truth marks four of them and ignores the other four."""
    image, labels = np.full((16, 12, 8), -1000, np.int16), np.zeros((16, 12, 8), np.uint8)
    image[:8], image[12:], labels[:4], labels[4:8], labels[12:] = FAT_HU, BONE_HU, 1, 9, 2
    grid = Grid(image.shape, np.diag([3.0, 3.0, 3.0, 1.0]))
    write_volume(tmp_path / "image.nii", image, grid)
    write_volume(tmp_path / "labels.nii", labels, grid)
    return tmp_path / "image.nii", tmp_path / "labels.nii"


@pytest.mark.parametrize(("ignore", "dice"), [(9, 1.0), (None, pytest.approx(2 * 4 / (4 + 8)))])
def test_ignored_voxels_are_not_compared(bundle_path, variant, case, ignore, dice):
    assert segment_cases(bundle_path, variant, [case], ignore=ignore).organ_means["fat"] == dice


def test_the_results_hold_label_maps_windows_and_times_of_each_case(bundle_path, variant, case):
    begun = []
    run = segment_cases(bundle_path, variant, [case, case], overlap=0.0, starting=lambda: begun.append(1))
    assert run.windows == (1, 1)
    assert len(begun) == len(run.seconds) == 2
    assert all(seconds > 0 for seconds in run.seconds)
    labels = run.labels[1].array()
    assert labels.shape == (16, 12, 8)
    assert labels[0, 0, 0] == 1


@pytest.mark.parametrize(("ignore", "planes"), [(9, 4), (None, 8)])
def test_volumes_are_of_voxels_with_a_known_label(bundle_path, variant, case, ignore, planes):
    (volumes,) = segment_cases(bundle_path, variant, [case], ignore=ignore).volumes
    assert volumes[1] == pytest.approx(planes * 12 * 8 * 0.027)  # voxels of 3 mm


def test_an_organ_is_spurious_in_cases_without_it_by_what_fp32_does_not_find_there():
    """No case lacks fat. Two lack bone: the variant finds 1 ml less of it in one, and 4 ml more in the other."""
    cases = (0.9, 0.9), (0.9, np.nan), (0.9, np.nan)
    fp32 = replace(scores(*cases), volumes=np.array([(0, 80, 50), (0, 80, 2), (0, 80, 0.5)]))
    int8 = replace(scores(*cases), volumes=np.array([(0, 90, 70), (0, 90, 1), (0, 90, 4.5)]))
    assert spurious_volumes(int8, fp32) == {"bone": SpuriousVolume(cases=2, excess_ml=4.0, organ_ml=50.0)}


def test_a_label_map_on_another_grid_is_refused(bundle_path, variant, case, tmp_path):
    write_volume(tmp_path / "other.nii", np.zeros((16, 12, 9), np.uint8), Grid((16, 12, 9), np.eye(4)))
    with pytest.raises(InputError, match="gate case 1: image and label map differ in size: "):
        segment_cases(bundle_path, variant, [(case[0], tmp_path / "other.nii")])


def test_a_label_map_stored_along_other_axes_is_scored_in_its_place(bundle_path, variant, case):
    expected = segment_cases(bundle_path, variant, [case], ignore=9).dice
    labels = read_labels(case[1])
    write_volume(case[1], labels.data[::-1, ::-1], labels.grid.reoriented("LPS"))
    assert segment_cases(bundle_path, variant, [case], ignore=9).dice == pytest.approx(expected, nan_ok=True)


def test_packed_labels_are_the_same_and_smaller():
    labels = np.zeros((30, 20, 10), np.uint16, order="F")
    labels[3:6] = 300
    packed = PackedLabels.of(labels)
    assert np.array_equal(packed.array(), labels)
    assert len(packed.content) < labels.nbytes / 20


def test_a_loss_is_the_mean_over_the_cases_that_have_the_organ():
    drops = dice_drops(scores((0.8, np.nan), (0.6, 0.5)), scores((0.9, np.nan), (0.9, 0.5)))
    assert drops.organs["fat"].mean == pytest.approx((0.1 + 0.3) / 2)
    assert drops.organs["bone"].mean == 0
    assert drops.mean.mean == pytest.approx(0.1)


def test_the_interval_of_two_cases_is_students_t_with_one_degree_of_freedom():
    """Fat lost 0.1 and 0.3: the mean's standard error is 0.1, and t = 12.706. Bone lost nothing, all organs half."""
    drops = dice_drops(scores((0.8, 0.5), (0.6, 0.5)), scores((0.9, 0.5), (0.9, 0.5)))
    assert (drops.organs["fat"].low, drops.organs["fat"].high) == pytest.approx((0.2 - 1.2706, 0.2 + 1.2706), abs=1e-4)
    assert (drops.mean.low, drops.mean.high) == pytest.approx((0.1 - 0.6353, 0.1 + 0.6353), abs=1e-4)


def test_a_loss_of_a_single_case_has_no_interval():
    drops = dice_drops(scores((0.8, np.nan), (0.6, 0.5)), scores((0.9, np.nan), (0.9, 0.7)))
    assert drops.organs["bone"].low is drops.organs["bone"].high is None
    assert drops.organs["fat"].low is not None
    assert (drops.mean.mean, drops.mean.low, drops.mean.high) == (pytest.approx((0.2 + 0.2) / 2), None, None)
    alone = dice_drops(scores((0.8, 0.5)), scores((0.9, 0.5))).mean
    assert (alone.mean, alone.low, alone.high) == (pytest.approx(0.05), None, None)


@pytest.mark.parametrize("cases", [2, 3, 5])
def test_the_interval_holds_the_true_loss_in_95_of_100_trials(cases):
    rng, held = np.random.default_rng(0), 0
    for _ in range(1000):
        losses = rng.normal(0.002, 0.01, cases)
        drop = dice_drops(scores(*((0.9 - loss, np.nan) for loss in losses)), scores(*[(0.9, np.nan)] * cases)).mean
        held += drop.low <= 0.002 <= drop.high
    assert held == pytest.approx(950, abs=25)


@pytest.mark.parametrize("correlation", [0.0, 0.8])
@pytest.mark.parametrize(
    ("cases", "held"),
    [
        ([10, 10], 0.95),
        ([10, 3], 0.94),  # 0.89 and 0.87 with the degrees of freedom of the organ in most cases
        ([10, 2], 0.90),  # 0.80; Welch's own is no better with two cases
        ([10, 10, 10, 10, 2], 0.95),
    ],
)
def test_the_interval_of_the_mean_holds_the_true_loss_where_an_organ_is_in_few_cases(cases, held, correlation):
    rng, trials = np.random.default_rng(0), 1500
    names, organs = ("background", *(f"organ {number}" for number in range(len(cases)))), len(cases)
    exact = np.full((max(cases), 1 + organs), 0.9)
    for organ, count in enumerate(cases, start=1):
        exact[count:, organ] = np.nan
    reference = VariantScores(names, exact, (), (), (), np.zeros_like(exact))
    found = 0
    for _ in range(trials):
        together, alone = rng.normal(size=(max(cases), 1)), rng.normal(size=exact.shape)
        lost = 0.002 + 0.01 * (np.sqrt(correlation) * together + np.sqrt(1 - correlation) * alone)
        drop = dice_drops(replace(reference, dice=exact - lost), reference).mean
        found += drop.low <= 0.002 <= drop.high
    assert found / trials == pytest.approx(held, abs=0.03)


def test_the_interval_of_the_mean_of_organs_in_all_cases_is_that_of_the_cases_means():
    rng = np.random.default_rng(0)
    fp32, int8 = (rng.uniform(0.5, 1, (10, 2)) for _ in range(2))
    losses = (fp32 - int8).mean(axis=1)
    drop = dice_drops(scores(*int8), scores(*fp32)).mean
    expected = stats.t.interval(0.95, 9, losses.mean(), stats.sem(losses))
    assert (drop.low, drop.high) == pytest.approx(expected, rel=1e-12)


def test_the_interval_of_the_mean_of_organs_without_a_common_case_is_welchs():
    """The mean of two organs is half the difference between the one's losses and the negated losses of the other."""
    fat, bone = (0.1, 0.3), (0.0, 0.02, 0.04, 0.1)
    drop = dice_drops(
        scores(*((0.9 - lost, np.nan) for lost in fat), *((np.nan, 0.9 - lost) for lost in bone)),
        scores(*[(0.9, np.nan)] * 2, *[(np.nan, 0.9)] * 4),
    ).mean
    welch = stats.ttest_ind(fat, np.negative(bone), equal_var=False).confidence_interval()
    assert (drop.low, drop.high) == pytest.approx((welch.low / 2, welch.high / 2))


def test_the_interval_of_many_cases_is_that_of_their_mean():
    """Losses of standard deviation 0.1 in 100 cases: the mean is known within 1.96 · 0.1 / √100."""
    losses = np.random.default_rng(3).normal(0.05, 0.1, 100)
    losses += 0.05 - losses.mean()
    losses = 0.05 + (losses - 0.05) * 0.1 / losses.std()
    drop = dice_drops(scores(*((0.5 - loss, np.nan) for loss in losses)), scores(*[(0.5, np.nan)] * 100)).mean
    assert drop.mean == pytest.approx(0.05)
    assert (drop.low, drop.high) == pytest.approx((0.05 - 0.0196, 0.05 + 0.0196), abs=0.002)


def test_without_any_organ_there_is_no_loss():
    assert dice_drops(scores((np.nan, np.nan)), scores((np.nan, np.nan))) is None
