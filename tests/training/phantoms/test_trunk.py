"""The layers of the trunk enclose each other: skin, muscle, cavity, lungs and viscera, at 6 mm."""

import numpy as np
import pytest
from bedside.training.phantoms import trunk
from bedside.training.phantoms.shapes import Coordinates
from bedside.training.phantoms.trunk import BODY_MM, VERTEBRA_MM, Trunk

FAT = 20.0


@pytest.fixture(scope="module")
def at():
    axes = (np.arange(low, high, 6.0, dtype=np.float32) for low, high in ((-200, 200), (-130, 190), (-120, 170)))
    return Coordinates(*np.meshgrid(*axes, indexing="ij"))


@pytest.fixture(scope="module")
def layers(at):
    return Trunk.at(at, FAT)


def point(x, y, z):
    return Coordinates(*(np.array([value], np.float32) for value in (x, y, z)))


@pytest.mark.parametrize(
    ("inner", "outer"),
    [("muscle", "skin"), ("cavity", "muscle"), ("lungs", "cavity"), ("viscera", "cavity")],
)
def test_each_layer_lies_within_the_next(layers, inner, outer):
    inside = getattr(layers, inner) < 0
    assert inside.sum() > 1000
    assert (getattr(layers, outer)[inside] < 0).all()


@pytest.mark.parametrize("pair", [("lungs", "viscera"), ("heart", "viscera"), ("lungs", "heart")])
def test_lungs_heart_and_viscera_share_no_voxel(layers, pair):
    first, second = (getattr(layers, name) < 0 for name in pair)
    assert first.sum() > 100
    assert not (first & second).any()


def test_the_lungs_are_above_and_the_viscera_below(at, layers):
    assert at.z[layers.lungs < 0].mean() > 50 + at.z[layers.viscera < 0].mean()


def test_more_fat_moves_the_skin_out_and_leaves_the_rest(at, layers):
    fatter = Trunk.at(at, FAT + 10)
    assert (fatter.skin < layers.skin).all()
    assert np.array_equal(fatter.muscle, layers.muscle)


def test_between_two_vertebral_bodies_lies_a_disc():
    body, disc = point(5, 0, VERTEBRA_MM), point(5, 0, VERTEBRA_MM / 2)
    assert trunk.vertebral_bodies(body)[0] < 0 < trunk.vertebral_bodies(disc)[0]
    assert trunk.discs(disc)[0] < 0
    assert trunk.vertebral_bodies(point(0, 0, BODY_MM / 2))[0] == pytest.approx(0, abs=1e-4)


def test_the_spinal_canal_is_free_of_bone(at):
    inside = trunk.canal(at) < 0
    assert inside.sum() > 10
    assert (trunk.arches(at)[inside] > 0).all()
    assert (trunk.vertebral_bodies(at)[inside] > 0).all()


def test_ribs_lie_in_the_chest_wall_and_leave_the_front_open(at, layers):
    ribs = trunk.ribs(at, layers.cavity) < 0
    assert ribs.sum() > 100
    assert (layers.cavity[ribs] > 0).all()
    assert not (ribs & (at.y > 70) & (np.abs(at.x) < 26)).any()


def test_the_muscles_of_the_back_are_the_same_on_both_sides(at):
    mirrored = Coordinates(-at.x, at.y, at.z)
    assert np.array_equal(trunk.back_muscles(at), trunk.back_muscles(mirrored))


def test_the_couch_lies_below_the_point_it_is_given():
    assert trunk.couch(point(0, -101, 0), top=-100)[0] < 0
    assert trunk.couch(point(0, -99, 0), top=-100)[0] > 0
    assert trunk.couch(point(300, -101, 0), top=-100)[0] > 0  # beside it
