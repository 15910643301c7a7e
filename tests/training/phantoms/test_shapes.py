from __future__ import annotations

import numpy as np
import pytest
from bedside.training.phantoms.shapes import Coordinates, Cut, Ellipsoid, Tube, Union


def at(x: float, y: float, z: float) -> Coordinates:
    return Coordinates(*(np.array([value], np.float32) for value in (x, y, z)))


def test_distance_to_a_ball_is_exact() -> None:
    ball = Ellipsoid((1, 2, 3), (5, 5, 5))
    assert ball.distance(at(1, 2, 11))[0] == pytest.approx(3)
    assert ball.distance(at(1, 5, 3))[0] == pytest.approx(-2)


def test_positive_tilt_leans_the_upper_pole_to_the_right() -> None:
    rod = Ellipsoid((0, 0, 0), (1, 1, 10), tilt=30)
    assert rod.distance(at(4.5, 0, 7.8))[0] < 0
    assert rod.distance(at(-4.5, 0, 7.8))[0] > 0


def test_distance_to_a_straight_tube_is_that_to_its_axis_less_the_radius() -> None:
    tube = Tube(((0, 0, 0), (0, 0, 20)), (3, 3))
    assert tube.distance(at(7, 0, 10))[0] == pytest.approx(4)
    assert tube.distance(at(0, 0, 25))[0] == pytest.approx(2)


def test_a_tube_needs_one_radius_per_point() -> None:
    with pytest.raises(ValueError, match="one radius per point"):
        Tube(((0, 0, 0), (0, 0, 20)), (3,))


def test_cut_takes_out_and_union_adds() -> None:
    big, small = Ellipsoid((0, 0, 0), (10, 10, 10)), Ellipsoid((5, 0, 0), (3, 3, 3))
    assert Cut(big, (small,)).distance(at(5, 0, 0))[0] == pytest.approx(3)
    assert Union((small, Ellipsoid((20, 0, 0), (4, 4, 4)))).distance(at(20, 0, 0))[0] == pytest.approx(-4)


def test_scaling_about_a_point_keeps_it_and_grows_the_rest() -> None:
    grown = Ellipsoid((2, 0, 0), (1, 2, 3)).transformed(about=(0, 0, 0), scale=2, shift=(0, 0, 1))
    assert grown.middle == (4, 0, 1)
    assert grown.radii == (2, 4, 6)


@pytest.mark.parametrize(
    "shape", [Ellipsoid((3, -4, 5), (6, 2, 9), tilt=25), Tube(((0, 0, 0), (9, 4, 2), (3, 9, 9)), (2, 4, 1))]
)
def test_the_box_holds_the_whole_shape(shape: Ellipsoid | Tube) -> None:
    axis = np.arange(-20, 25, 1, dtype=np.float32)
    grid = np.meshgrid(axis, axis, axis, indexing="ij")
    inside = np.argwhere(shape.distance(Coordinates(*grid)) < 0)
    assert len(inside) > 50
    low, high = shape.box()
    assert (axis[inside.min(axis=0)] >= low).all()
    assert (axis[inside.max(axis=0)] <= high).all()
