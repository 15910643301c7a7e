"""NSD and HD95 against what DeepMind's surface-distance says, against plain definitions, and by hand."""

from __future__ import annotations

import functools
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from bedside.training.scores.metrics import CaseScores, evaluate_case
from bedside.training.scores.surfaces import surface_elements
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt

Mask = NDArray[np.bool_]

KEPT = np.load(Path(__file__).with_name("surface_distance.npz"))  # by benchmarks/evaluate/save_reference_scores.py
COUNT, SIZE = len(KEPT["kinds"]), int(KEPT["size"])
TRUTHS, PREDICTIONS = (
    np.unpackbits(KEPT[name])[: COUNT * SIZE**3].reshape(COUNT, SIZE, SIZE, SIZE) for name in ("truths", "predictions")
)


@functools.cache
def scored(number: int, tolerance: float = 1.0) -> CaseScores:
    spacing = tuple(KEPT["spacings"][number].tolist())
    return evaluate_case(PREDICTIONS[number], TRUTHS[number], 2, spacing, tolerance)


def plain_hd95(a: Mask, b: Mask, spacing: tuple[float, ...]) -> float:
    """The larger of the two directed 95th percentiles of distance between voxels with a face outside the mask."""
    surfaces = [np.pad(mask, 1) & ~binary_erosion(np.pad(mask, 1)) for mask in (a, b)]
    directed = [
        np.percentile(distance_transform_edt(~to, sampling=spacing)[of], 95) for of, to in (surfaces, surfaces[::-1])
    ]
    return float(max(directed))


@pytest.mark.parametrize(("column", "tolerance"), list(enumerate(KEPT["tolerances_mm"].tolist())))
def test_nsd_is_that_of_surface_distance_for_every_shape(column: int, tolerance: float) -> None:
    ours = np.array([scored(number, tolerance).nsd[1] for number in range(COUNT)])
    assert COUNT > 100
    assert np.abs(ours - KEPT["nsd"][:, column]).max() < 1e-6


def test_hd95_is_that_of_the_plain_definition_for_every_shape() -> None:
    for number in range(COUNT):
        spacing = tuple(KEPT["spacings"][number].tolist())
        expected = plain_hd95(PREDICTIONS[number] > 0, TRUTHS[number] > 0, spacing)
        assert scored(number).hd95[1] == pytest.approx(expected, rel=1e-5), KEPT["kinds"][number]


@pytest.mark.filterwarnings("ignore:.*get_mask_edges.*:FutureWarning")  # MONAI 1.6 warns of its own call
def test_scores_are_those_of_monai_on_whole_volumes() -> None:
    for number in range(0, COUNT, 7):
        a, b = (torch.from_numpy(np.pad(masks[number], 1))[None, None] for masks in (PREDICTIONS, TRUTHS))
        spacing = KEPT["spacings"][number].tolist()
        nsd = compute_surface_dice(a, b, [1.0001], include_background=True, spacing=spacing, use_subvoxels=True)
        hd95 = compute_hausdorff_distance(a, b, include_background=True, percentile=95, spacing=spacing)
        scores = scored(number)
        assert (scores.nsd[1], scores.hd95[1]) == pytest.approx((float(nsd), float(hd95)), rel=1e-5, abs=1e-6)


def test_scores_do_not_depend_on_which_side_is_the_truth() -> None:
    for number in range(0, COUNT, 10):
        spacing = tuple(KEPT["spacings"][number].tolist())
        there, back = scored(number), evaluate_case(TRUTHS[number], PREDICTIONS[number], 2, spacing, 1.0)
        assert (there.dice[1], there.nsd[1], there.hd95[1]) == (back.dice[1], back.nsd[1], back.hd95[1])


def test_scores_do_not_depend_on_the_order_in_memory() -> None:
    spacing = tuple(KEPT["spacings"][4].tolist())
    turned = evaluate_case(np.asfortranarray(PREDICTIONS[4]), np.asfortranarray(TRUTHS[4]), 2, spacing, 1.0)
    plain = scored(4)
    assert (turned.dice[1], turned.nsd[1], turned.hd95[1]) == (plain.dice[1], plain.nsd[1], plain.hd95[1])


def plane(at: int, axis: int = 0, thickness: int = 1) -> NDArray[np.uint8]:
    """A sheet of 10 × 10 voxels in the middle of 20³."""
    labels = np.zeros((20, 20, 20), np.uint8)
    np.moveaxis(labels, axis, 0)[at : at + thickness, 5:15, 5:15] = 1
    return labels


@pytest.mark.parametrize("shift", [1, 2, 5])
@pytest.mark.parametrize(("axis", "mm"), [(0, 0.7), (1, 1.5), (2, 5.0)])
def test_hd95_of_a_sheet_moved_by_k_voxels_is_k_times_the_spacing(axis: int, mm: float, shift: int) -> None:
    scores = evaluate_case(plane(5 + shift, axis), plane(5, axis), 2, (0.7, 1.5, 5.0))
    assert scores.hd95[1] == pytest.approx(shift * mm, rel=1e-6)


@pytest.mark.parametrize(("more", "expected"), [(5, 0.0), (6, 6.0), (7, 8.0)])
def test_hd95_leaves_out_the_farthest_twentieth_and_interpolates_at_its_edge(more: int, expected: float) -> None:
    # 100 voxels of a sheet at 0 mm and a few 8 mm away; of 106 values the 95th percentile is at place 0.95 · 105 =
    # 99.75, three quarters of the way from the last 0 (place 99) to the first 8
    prediction = plane(5)
    prediction[13, 5, 5 : 5 + more] = 1
    assert evaluate_case(prediction, plane(5), 2, (1, 1, 1)).hd95[1] == pytest.approx(expected, abs=1e-4)


def test_nsd_of_two_sheets_counts_the_sides_and_rims_by_area() -> None:
    # A sheet's surface elements lie at the corners of its voxels: 11 × 11 on each of two sides. Moved by its own
    # thickness it shares one side of two: half of all elements agree exactly, and all within 1 mm.
    scores = [evaluate_case(plane(6), plane(5), 2, (1, 1, 1), tolerance).nsd[1] for tolerance in (0.5, 1.0)]
    assert scores == pytest.approx([0.5, 1.0])


def test_a_surface_as_far_as_the_tolerance_agrees_though_the_header_rounds_the_spacing() -> None:
    spacing = (float(np.float32(1.1)), 1.0, 1.0)  # 1.10000002
    assert evaluate_case(plane(6), plane(5), 2, spacing, 1.1).nsd[1] == pytest.approx(1)
    assert evaluate_case(plane(6), plane(5), 2, spacing, 1.09).nsd[1] == pytest.approx(0.5)


def test_a_stray_voxel_far_away_costs_a_few_bytes_for_each_voxel_between() -> None:
    truth = np.zeros((100, 100, 100), np.uint8)
    truth[:5, :5, :5] = 1
    prediction = truth.copy()
    prediction[-1, -1, -1] = 1
    evaluate_case(prediction, truth, 2, (1, 1, 1))
    tracemalloc.start()
    evaluate_case(prediction, truth, 2, (1, 1, 1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak / truth.size < 8  # MONAI's convolution takes 140


def test_tolerance_zero_wants_the_same_surface() -> None:
    assert evaluate_case(plane(5), plane(5), 2, (1, 1, 1), 0.0).nsd[1] == 1
    assert evaluate_case(plane(9), plane(5), 2, (1, 1, 1), 0.0).nsd[1] == 0


def test_one_voxel_against_one_voxel_lies_as_far_as_their_centres() -> None:
    a, b = np.zeros((2, 6, 6, 6), np.uint8)
    a[0, 0, 0] = b[3, 4, 0] = 1
    assert evaluate_case(a, b, 2, (1, 1, 1)).hd95[1] == pytest.approx(5)  # 3, 4, 5


def test_a_volume_full_of_one_class_has_its_surface_at_the_border() -> None:
    full = np.ones((6, 6, 6), np.uint8)
    shorter = full.copy()
    shorter[5] = 0
    scores = evaluate_case(shorter, full, 2, (2.0, 1.0, 1.0), tolerance_mm=2.0)
    assert (scores.nsd[1], scores.hd95[1]) == (pytest.approx(1), pytest.approx(2))


def test_axes_at_right_angles_give_the_scores_of_their_spacing() -> None:
    for number in range(0, COUNT, 7):
        axes = np.diag(KEPT["spacings"][number]).astype(float)
        found = evaluate_case(PREDICTIONS[number], TRUTHS[number], 2, axes, 1.0)
        assert found.nsd[1] == pytest.approx(scored(number).nsd[1], abs=1e-6)
        assert found.hd95[1] == pytest.approx(scored(number).hd95[1], rel=1e-6)


def ball(radius: float, axes: NDArray[np.float64], centre: float = 0.0) -> Mask:
    """A ball in the middle of 60³ voxels, moved along y in the patient."""
    voxels = np.indices((60, 60, 60)).reshape(3, -1) - 29.5
    world = axes @ voxels - np.array([[0], [centre], [0]])
    return (np.linalg.norm(world, axis=0) < radius).reshape(60, 60, 60)


def test_a_ball_has_the_surface_and_distances_of_a_ball_on_a_sheared_grid_too() -> None:
    straight, sheared = np.diag([1.0, 1.0, 1.5]), np.diag([1.0, 1.0, 1.5])
    sheared[:, 1] = 0, np.cos(np.radians(25)), np.sin(np.radians(25))
    areas = [surface_elements(ball(18, axes), axes).areas.sum() for axes in (straight, sheared)]
    assert areas[1] == pytest.approx(areas[0], rel=0.02)
    assert areas[0] == pytest.approx(4 * np.pi * 18**2, rel=0.12)  # the steps of voxels add a tenth
    for tolerance, moved in ((1.0, 3.0), (2.0, 4.0)):
        scores = [
            evaluate_case(ball(18, axes, moved), ball(18, axes), 2, axes, tolerance) for axes in (straight, sheared)
        ]
        assert scores[1].nsd[1] == pytest.approx(scores[0].nsd[1], abs=0.05)
        assert scores[1].hd95[1] == pytest.approx(moved, abs=1)
