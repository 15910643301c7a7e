"""The worst case of a variant, by two cases whose labels a person can count."""

from __future__ import annotations

import io

import numpy as np
import pytest
from bedside.export.gate.dice import PackedLabels, VariantScores
from bedside.export.gate.pictures import drops_picture, overlap_picture, worst_case
from bedside.runtime.bundles.figures import DiceDrop, OverlapPoint
from bedside.runtime.bundles.variant import Variant
from bedside.runtime.scans.nifti import read_labels, write_volume
from PIL import Image


def scores(task, maps: list[np.ndarray], dice: list[tuple[float, float]]) -> VariantScores:
    table = np.array([(1.0, *case) for case in dice])
    return VariantScores(
        task.labels, table, tuple(PackedLabels.of(labels) for labels in maps), (1, 1), (1.0, 1.0), np.zeros(table.shape)
    )


def pixels(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)


@pytest.fixture
def exact() -> np.ndarray:
    labels = np.zeros((20, 16, 12), np.uint8)
    labels[4:16, 4:12, 3:9] = 1
    return labels


def test_the_worst_case_is_where_an_organ_lost_most(toy_case, toy_task, exact):
    changed = exact.copy()
    changed[4:7, 4:12, 3:9] = 2
    fp32 = scores(toy_task, [exact, exact], [(0.9, 0.5), (0.9, np.nan)])
    own = scores(toy_task, [exact, changed], [(0.7, 0.6), (0.4, np.nan)])
    worst = worst_case(own, fp32, [toy_case, toy_case], toy_task)
    assert (worst.case, worst.organ, worst.exact, worst.dice) == (1, "fat", 0.9, 0.4)
    assert worst.differing == 3 * 8 * 6
    assert pixels(worst.picture).shape[1] > 800


def test_a_truth_stored_along_other_axes_is_drawn_in_its_place(toy_case, toy_task, exact, tmp_path):
    image, label = toy_case
    labels, fp32 = read_labels(label), scores(toy_task, [exact], [(0.9, np.nan)])
    write_volume(tmp_path / "lps.nii", labels.data[::-1, ::-1], labels.grid.reoriented("LPS"))
    pictures = [worst_case(fp32, fp32, [(image, truth)], toy_task).picture for truth in (label, tmp_path / "lps.nii")]
    assert pictures[0] == pictures[1]


def test_the_voxels_that_differ_are_drawn(toy_case, toy_task, exact):
    """The same scan with and without a difference: the pictures differ in the columns of the variant and the voxels."""
    changed = exact.copy()
    changed[4:7, 4:12, 3:9] = 0
    fp32 = scores(toy_task, [exact], [(0.9, np.nan)])
    pictures = [
        worst_case(scores(toy_task, [labels], [(0.9, np.nan)]), fp32, [toy_case], toy_task)
        for labels in (exact, changed)
    ]
    assert [worst.differing for worst in pictures] == [0, 3 * 8 * 6]
    assert pictures[0].picture != pictures[1].picture


def test_without_any_organ_there_is_no_worst_case(toy_case, toy_task, exact):
    nothing = scores(toy_task, [exact], [(np.nan, np.nan)])
    assert worst_case(nothing, nothing, [toy_case], toy_task) is None


def test_losses_and_overlaps_are_drawn():
    drop = DiceDrop(mean=0.004, low=0.001, high=0.02)
    variant = Variant(precision="int8", engine="openvino", file="m", organ_drops={"liver": drop, "spleen": drop})
    assert pixels(drops_picture([variant])).std() > 5
    alone = Variant(precision="int8", engine="openvino", file="m", organ_drops={"liver": DiceDrop(mean=0.004)})
    assert pixels(drops_picture([alone])).std() > 5  # of a single case, without interval
    curve = [OverlapPoint(overlap=each, dice={"liver": each}, windows=1, seconds=each) for each in (0.0, 0.25, 0.5)]
    assert overlap_picture(curve, 0.25) != overlap_picture(curve, 0.5)
