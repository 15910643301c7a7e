from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from bedside.runtime.errors import InputError, UsageError
from bedside.runtime.scans.geometry import Grid

LPS = np.array([[-0.7, 0, 0, 100], [0, -0.8, 0, 200], [0, 0, 5, -300], [0, 0, 0, 1.0]])


def rotation(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def test_spacing_axes_and_repr_of_an_lps_scan():
    grid = Grid((512, 512, 60), LPS)
    assert grid.spacing == pytest.approx((0.7, 0.8, 5.0))
    assert grid.axes == "LPS"
    assert not grid.is_oblique
    assert not grid.is_sheared
    assert repr(grid) == "Grid(512×512×60 voxels, 0.7×0.8×5 mm, LPS)"


def test_a_rotated_grid_is_oblique_but_not_sheared():
    affine = np.eye(4)
    affine[:3, :3] = rotation(10)
    grid = Grid((4, 4, 4), affine)
    assert grid.is_oblique
    assert not grid.is_sheared


def tilted(degrees: float, shape=(30, 40, 20), spacing=(1.0, 1.0, 3.0)) -> Grid:
    """Planes tilted about x by a gantry, while the table moves along z."""
    affine = np.diag([*spacing, 1.0])
    affine[1, 1] *= np.cos(np.radians(degrees))
    affine[2, 1] = spacing[1] * np.sin(np.radians(degrees))
    affine[:3, 3] = 5, -7, 90
    return Grid(shape, affine)


def test_a_gantry_tilt_is_sheared_by_its_angle():
    grid = tilted(18.5)
    assert grid.is_sheared
    assert grid.shear_degrees == pytest.approx(18.5)
    assert repr(grid) == "Grid(30×40×20 voxels, 1×1×3 mm, RAS, sheared by 18.5°)"
    assert tilted(0).shear_degrees == 0
    assert grid.voxel_ml == pytest.approx(0.003 * np.cos(np.radians(18.5)))


def test_the_task_grid_of_a_tilted_scan_stands_between_its_axes():
    grid = tilted(20).to_task_grid("RAS", (2, 2, 2))
    assert not grid.is_sheared
    assert grid.spacing == pytest.approx((2, 2, 2))
    turn = np.array(
        [
            [1, 0, 0],
            [0, np.cos(np.radians(10)), -np.sin(np.radians(10))],
            [0, np.sin(np.radians(10)), np.cos(np.radians(10))],
        ]
    )
    assert grid.affine[:3, :3] == pytest.approx(2 * turn)


@pytest.mark.parametrize("degrees", [-55, -20, 0.1, 30])
def test_the_task_grid_of_a_tilted_scan_holds_its_whole_field_of_view(degrees):
    source = tilted(degrees)
    grid = source.to_task_grid("RAS", (1.5, 1.5, 1.5))
    edges = np.array(np.meshgrid(*[(-0.5, size - 0.5) for size in source.shape])).reshape(3, -1)
    world = source.affine[:3, :3] @ edges + source.affine[:3, 3:]
    placed = np.linalg.inv(grid.affine) @ np.vstack([world, np.ones(8)])
    assert (placed[:3].min(axis=1) >= -0.5 - 1e-5).all()
    assert (placed[:3].max(axis=1) <= np.array(grid.shape) - 0.5 + 1e-5).all()
    assert (placed[:3].min(axis=1) <= 0.5).all()  # and no more than that


def test_axes_that_no_scanner_makes_are_refused():
    with pytest.raises(InputError, match=r"sheared by at most 60°.*got 61°"):
        tilted(61).to_task_grid("RAS", (1, 1, 1))


@pytest.mark.parametrize(
    ("affine", "word"),
    [
        (np.diag([0, 1, 1, 1.0]), "spacing"),
        (np.diag([1, 1, 1000, 1.0]), "spacing"),
        (np.diag([1, 1, 1e300, 1.0]), "spacing"),
        (np.diag([1, np.nan, 1, 1.0]), "finite"),
        (np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "singular"),
        (np.array([[1, 0, 0, 1e9], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "origin"),
        (np.diag([1, 1, 1, 2.0]), "last row"),
        (np.eye(3), "4×4"),
    ],
)
def test_a_bad_affine_is_refused(affine, word):
    with pytest.raises(InputError, match=word):
        Grid((2, 2, 2), affine)


@pytest.mark.parametrize("spacing", [(0.1, 40.0, 100.0), (0.01, 0.01, 0.01), (100.0, 100.0, 100.0)])
def test_a_spacing_at_the_limit_may_be_rounded_by_a_rotation_or_single_precision(spacing):
    for degrees in range(0, 90, 3):
        rotated = np.eye(4)
        rotated[:3, :3] = rotation(degrees)[:3, :3] @ np.diag(spacing)
        Grid((2, 2, 2), rotated)
        Grid((2, 2, 2), rotated.astype(np.float32))


@pytest.mark.parametrize(("spacing", "got"), [(100.01, "100.01"), (0.009999, "0.009999")])
def test_a_spacing_just_beyond_the_limits_is_refused_with_its_digits(spacing, got):
    with pytest.raises(InputError, match=rf"expected 0\.01…100 mm per axis, got 1 × 1 × {got};"):
        Grid((2, 2, 2), np.diag([1, 1, spacing, 1.0]))


@pytest.mark.parametrize("shape", [(0, 2, 2), (2, 2), (2, 2, 2, 2), (2, -1, 2)])
def test_a_bad_shape_is_refused(shape):
    with pytest.raises(InputError, match="three axes"):
        Grid(shape, np.eye(4))


def test_grids_compare_by_value_and_cannot_be_changed():
    first, second = Grid((2, 3, 4), LPS), Grid((2, 3, 4), LPS.copy())
    assert first == second
    assert hash(first) == hash(second)
    assert first != Grid((2, 3, 5), LPS)
    with pytest.raises(ValueError, match="read-only"):
        first.affine[0, 0] = 2


def test_task_grid_keeps_the_field_of_view():
    # 10 voxels of 3 mm reach from -1.5 to 28.5 mm; 30 voxels of 1 mm with the same edges start at -1 mm.
    grid = Grid((10, 10, 10), np.diag([3, 3, 3, 1.0])).to_task_grid("RAS", (1, 1, 1))
    assert grid.shape == (30, 30, 30)
    assert grid.affine[:3, 3] == pytest.approx([-1, -1, -1])


def test_a_task_grid_anchored_to_the_first_voxel_starts_where_the_scan_does():
    # The outer centres are 27 mm apart: 13.5 steps of 2 mm, rounded to the even 14 as NumPy and MONAI do.
    scan = Grid((10, 10, 10), np.diag([3, 3, 3, 1.0]))
    grid = scan.to_task_grid("RAS", (1, 2, 4), "first-voxel")
    assert grid.shape == (28, 15, 8)
    assert grid.affine[:3, 3] == pytest.approx([0, 0, 0])
    assert scan.to_task_grid("LAS", (1, 1, 1), "first-voxel").affine[:3, 3] == pytest.approx([27, 0, 0])
    with pytest.raises(UsageError, match="anchor"):
        scan.to_task_grid("RAS", (1, 1, 1), "corner")


def test_task_grid_of_an_lps_scan_starts_at_its_other_corner():
    grid = Grid((11, 21, 5), np.array([[-1, 0, 0, 100], [0, -1, 0, 200], [0, 0, 2, 7], [0, 0, 0, 1.0]]))
    task_grid = grid.to_task_grid("RAS", (1, 1, 2))
    assert task_grid.axes == "RAS"
    assert task_grid.affine[:3, 3] == pytest.approx([90, 180, 7])


def test_a_spacing_that_differs_by_float_rounding_is_kept():
    spacing = float(np.float32(0.7))
    grid = Grid((512, 512, 60), np.diag([spacing, spacing, 1.5, 1]))
    assert grid.to_task_grid("RAS", (0.7, 0.7, 1.5)) == grid


def test_an_oblique_scan_keeps_its_own_axes():
    affine = np.eye(4)
    affine[:3, :3] = rotation(20)
    task_grid = Grid((8, 8, 8), affine).to_task_grid("RAS", (2, 2, 2))
    assert task_grid.affine[:3, :3] == pytest.approx(2 * rotation(20))


def test_all_48_storage_orders_lead_to_the_same_task_grid():
    wanted = Grid((6, 7, 8), np.diag([1, 2, 3, 1.0])).to_task_grid("RAS", (1.5, 1.5, 1.5))
    codes = {
        "".join(pair[side] for pair, side in zip(order, sides, strict=True))
        for order in permutations(("RL", "AP", "SI"))
        for sides in product((0, 1), repeat=3)
    }
    assert len(codes) == 48
    for code in codes:
        stored = Grid((6, 7, 8), np.diag([1, 2, 3, 1.0])).reoriented(code)
        assert stored.axes == code
        found = stored.to_task_grid("RAS", (1.5, 1.5, 1.5))
        assert found.shape == wanted.shape
        assert found.affine == pytest.approx(wanted.affine)
        straight = tilted(25).reoriented(code).to_task_grid("RAS", (1.5, 1.5, 1.5))
        assert straight.coincides(tilted(25).to_task_grid("RAS", (1.5, 1.5, 1.5)))
