"""The table of organs: every label of BTCV has a shape, on its own side of the body."""

import pytest
from bedside.training.phantoms.anatomy import LABELS, RETROPERITONEUM, VISCERA, Phase
from bedside.training.phantoms.shapes import centre

PARTS = (*VISCERA, *RETROPERITONEUM)
MIDDLES = {part.name: centre(part.shape) for part in PARTS}


def test_every_label_is_painted():
    assert {part.label for part in PARTS} == set(range(len(LABELS)))


@pytest.mark.parametrize(
    ("name", "label"),
    [("liver", "liver"), ("portal_branches", "liver"), ("medulla_left", "kidney_left"), ("duodenum", "background")],
)
def test_a_part_has_the_label_of_its_name_or_of_the_organ_around_it(name, label):
    (part,) = (part for part in PARTS if part.name == name)
    assert LABELS[part.label] == label


def test_a_part_within_an_organ_is_painted_after_it_and_moves_with_it():
    names = [part.name for part in PARTS]
    for part in PARTS:
        if part.within is not None:
            assert names.index(part.within) < names.index(part.name)
            assert part.group == part.within


@pytest.mark.parametrize("organ", ["kidney", "adrenal_gland"])
def test_paired_organs_lie_on_their_sides(organ):
    assert MIDDLES[f"{organ}_right"][0] > 20 > -20 > MIDDLES[f"{organ}_left"][0]


def test_every_part_has_hu_of_tissue_in_every_phase():
    for part in PARTS:
        assert len(part.hu) == len(Phase)
        assert all(-120 < hu < 400 for hu in part.hu), part.name
        assert 0 <= part.absent < 0.1
        assert part.hollow is None or (part.hollow.wall > 0 and 0 <= part.hollow.gas < 1)
