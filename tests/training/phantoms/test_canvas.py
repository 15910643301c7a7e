"""Painting in a box of air of 40³ voxels of 2 mm: what is blended, labelled, and left alone."""

from dataclasses import replace

import numpy as np
import pytest
from bedside.training.phantoms.anatomy import LABELS, Hollow, Part, Phase
from bedside.training.phantoms.canvas import Canvas
from bedside.training.phantoms.patient import Patient
from bedside.training.phantoms.shapes import Coordinates, Ellipsoid

PATIENT = Patient((1, 1, 1), 20, (0, 0, 0), (0, 0, 0), Phase.NATIVE, noise=0, tone=0.0)
LIVER, SPLEEN = LABELS.index("liver"), LABELS.index("spleen")
BALL = Part("liver", Ellipsoid((0, 0, 0), (20, 20, 20)), (60, 60, 60), shift=0, size=0)
INSIDE = np.full((40, 40, 40), -99, np.float32)  # of the abdominal cavity


@pytest.fixture
def canvas(rng):
    axis = np.arange(-39, 41, 2, dtype=np.float32)
    at = Coordinates(*np.meshgrid(axis, axis, axis, indexing="ij"))
    return Canvas(rng, at, 2.0, PATIENT, np.zeros(at.x.shape, np.float32))


def volume(canvas, label):
    return (canvas.labels == label).sum() * 8


def test_a_solid_part_has_its_volume_and_its_hu(canvas):
    canvas.paint(BALL, INSIDE)
    assert volume(canvas, LIVER) == pytest.approx(4 / 3 * np.pi * 20**3, rel=0.03)
    assert canvas.hu[20, 20, 20] == pytest.approx(60)
    assert canvas.hu[0, 0, 0] == -1000


def test_a_voxel_on_the_border_is_blended_by_its_share(canvas):
    share = canvas.fill(np.full(INSIDE.shape, 0.5, np.float32), 100)  # a quarter of a voxel outside
    assert share[0, 0, 0] == pytest.approx(0.25)
    assert canvas.hu[0, 0, 0] == pytest.approx(-1000 + 0.25 * 1100)


def test_a_clipped_part_ends_at_the_cavity(canvas):
    canvas.paint(replace(BALL, clipped=True), canvas.at.x)  # the cavity ends at x = 0
    assert volume(canvas, LIVER) == pytest.approx(2 / 3 * np.pi * 20**3, rel=0.05)
    assert not canvas.labels[20:].any()


def test_a_part_within_an_organ_keeps_the_organs_label_and_ends_with_it(canvas):
    canvas.paint(BALL, INSIDE)
    before = canvas.labels.copy()
    canvas.paint(
        replace(BALL, name="vessel", shape=Ellipsoid((20, 0, 0), (15, 5, 5)), hu=(150,) * 3, within="liver"), INSIDE
    )
    assert np.array_equal(canvas.labels, before)
    bright = canvas.hu > 100
    assert bright.sum() > 10
    assert (canvas.labels[bright] == LIVER).all()


def test_later_parts_are_painted_over_earlier_ones(canvas):
    canvas.paint(BALL, INSIDE)
    canvas.paint(replace(BALL, name="spleen"), INSIDE)
    assert set(np.unique(canvas.labels)) == {0, SPLEEN}


def test_a_hollow_part_has_a_wall_content_and_gas_at_the_front(canvas):
    canvas.rng = np.random.default_rng(0)  # draws gas
    canvas.paint(replace(BALL, hollow=Hollow(wall=4, content=(10, 10), gas=1.0)), INSIDE)
    front, back = canvas.hu[20, 27, 20], canvas.hu[20, 13, 20]
    assert front < -900
    assert back == pytest.approx(10, abs=5)
    assert canvas.hu[20, 11, 20] == pytest.approx(60, abs=5)  # 17 mm from the middle, in the wall
    assert volume(canvas, LIVER) == pytest.approx(4 / 3 * np.pi * 20**3, rel=0.03)  # content is part of the organ


def test_parts_of_a_group_move_together(canvas):
    parts = [replace(BALL, name=name, group="pair", shift=5.0, size=0.1) for name in ("liver", "other")]
    for part in parts:
        canvas.paint(part, INSIDE)
    assert list(canvas.moves) == ["pair"]


@pytest.mark.parametrize("part", [replace(BALL, absent=1.0), replace(BALL, shape=Ellipsoid((500, 0, 0), (9, 9, 9)))])
def test_an_absent_part_and_one_outside_the_scan_leave_no_voxel(canvas, part):
    canvas.paint(part, INSIDE)
    assert not canvas.labels.any()
    assert (canvas.hu == -1000).all()


def test_contrast_brightens_what_the_phase_enhances(canvas):
    canvas.patient = replace(PATIENT, phase=Phase.ARTERIAL)
    canvas.paint(replace(BALL, hu=(40, 310, 155)), INSIDE)
    assert canvas.hu[20, 20, 20] > 150
