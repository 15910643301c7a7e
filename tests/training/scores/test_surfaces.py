"""Surfaces of a few voxels, which a person can count; agreement with other tools is in `test_surface_scores`."""

from __future__ import annotations

import numpy as np
import pytest
from bedside.training.scores.surfaces import Surface, surface_elements, surface_voxels

SPACING = (1.0, 2.0, 3.0)


def block(*sizes: int, shape: tuple[int, int, int] = (9, 9, 9)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(2, 2 + size) for size in sizes)] = True
    return mask


def test_the_surface_of_a_block_is_all_but_its_inner_voxels() -> None:
    surface = surface_voxels(block(3, 4, 5), SPACING)
    assert len(surface.points) == 3 * 4 * 5 - 1 * 2 * 3
    assert surface.areas.tolist() == [1.0] * len(surface.points)
    assert surface.points.min(axis=0).tolist() == [2, 4, 6]
    assert surface.points.max(axis=0).tolist() == [4, 10, 18]


def test_voxels_at_the_border_of_the_array_are_on_the_surface() -> None:
    assert len(surface_voxels(np.ones((3, 3, 3), bool), SPACING).points) == 26


def test_one_voxel_has_an_element_at_each_corner() -> None:
    surface = surface_elements(block(1, 1, 1), (1.0, 1.0, 1.0))
    assert len(surface.points) == 8
    assert np.ptp(surface.areas) == 0


def test_the_side_of_a_plate_has_the_area_of_its_faces() -> None:
    """A plate through the whole volume: elements inside its sides have one voxel's face each, 1 × 2 mm."""
    mask = np.zeros((9, 9, 9), bool)
    mask[:, :, 4] = True
    surface = surface_elements(mask, SPACING)
    inside = ((surface.points[:, :2] > [1, 2]) & (surface.points[:, :2] < [8, 16])).all(axis=1)
    assert surface.areas[inside] == pytest.approx(2.0)


def test_axes_as_a_matrix_give_points_and_areas_of_their_spacing() -> None:
    for extract in (surface_voxels, surface_elements):
        plain, matrix = (extract(block(3, 4, 5), spacing) for spacing in (SPACING, np.diag(SPACING)))
        assert matrix.points == pytest.approx(plain.points)
        assert matrix.areas == pytest.approx(plain.areas, rel=1e-5)


def test_a_border_towards_unknown_voxels_weighs_nothing() -> None:
    mask = np.zeros((9, 9, 9), bool)
    mask[:, :, :4] = True
    unknown = np.zeros_like(mask)
    unknown[:, :, 4:] = True
    for extract in (surface_voxels, surface_elements):
        surface = extract(mask, (1.0, 1.0, 1.0), unknown)
        towards = (surface.points[:, 2] >= 3) & ((surface.points[:, :2] > 1) & (surface.points[:, :2] < 7)).all(axis=1)
        assert towards.any()
        assert not surface.areas[towards].any()
        assert surface.areas[~towards].sum() > 0


def test_distances_go_to_the_nearest_point_of_the_other_surface() -> None:
    first = Surface(np.array([[0.0, 0, 0], [9.0, 0, 0]]), np.ones(2))
    second = Surface(np.array([[3.0, 4, 0], [9.0, 0, 1]]), np.ones(2))
    assert first.distances_to(second) == pytest.approx([5, 1])
    assert second.distances_to(first) == pytest.approx([5, 1])
