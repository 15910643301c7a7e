"""Threshold and margin are chosen so that no organ voxel of the scans is missed."""

from __future__ import annotations

import numpy as np
import pytest
from bedside.export.locator.settings import (
    LocatedCase,
    OrganVoxels,
    choose_settings,
    grown,
    organ_recalls,
    organ_voxels,
)
from bedside.runtime import Grid, Volume
from bedside.runtime.windows.axis_order import MODEL_ORDER
from bedside.runtime.windows.organ_region import OrganOdds

GRID = Grid((20, 20, 40), np.diag([6.0, 6.0, 6.0, 1.0]))


def case(probabilities, organ_planes, organ=1):
    """A scan whose organ, one voxel wide, lies in some planes; the locator gives each plane of it a probability."""
    odds = OrganOdds(GRID, MODEL_ORDER)
    odds.log_odds[:] = -10
    for plane, probability in probabilities.items():
        odds.log_odds[plane, 10, 10] = np.log(probability / (1 - probability))
    planes = np.array(organ_planes, int)
    places = np.ravel_multi_index((planes, planes * 0 + 10, planes * 0 + 10), GRID.shape.dhw)
    organs = np.full(len(planes), organ)
    return LocatedCase(odds, OrganVoxels(GRID.shape.dhw, organs, places, np.full(len(planes), 8)))


def test_a_locator_that_finds_every_voxel_gets_the_safety_margin_alone():
    settings = choose_settings([case({10: 0.9, 11: 0.9}, [10, 11])], 6.0)
    assert (settings.threshold, settings.margin_mm, settings.recall) == (0.5, 12.0, 1.0)


def test_the_margin_reaches_the_farthest_organ_voxel_of_all_scans():
    found, missed = case({10: 0.9}, [10]), case({20: 0.9}, [20, 21, 22, 23])
    settings = choose_settings([found, missed], 6.0)
    assert (settings.threshold, settings.margin_mm, settings.recall) == (0.5, 6.0 * (3 + 2), 2 / 5)


def test_a_lower_threshold_is_chosen_where_it_leaves_a_smaller_region():
    settings = choose_settings([case({10: 0.9, 13: 0.3, 16: 0.3}, [10, 13, 16])], 6.0)
    assert (settings.threshold, settings.margin_mm, settings.recall) == (0.2, 12.0, 1.0)


def test_a_locator_that_misses_an_organ_by_more_than_ten_voxels_has_no_settings():
    assert choose_settings([case({5: 0.9}, [5, 15])], 6.0).margin_mm == 72.0
    assert choose_settings([case({5: 0.9}, [5, 16])], 6.0) is None
    assert choose_settings([case({}, [5])], 6.0) is None


def test_scans_without_an_organ_choose_nothing():
    with pytest.raises(ValueError, match="expected a labelled scan with an organ"):
        choose_settings([case({10: 0.9}, []), case({10: 0.9}, [])], 6.0)


def test_organ_voxels_are_counted_in_the_coarse_voxel_that_holds_them():
    scan = Grid((8, 8, 8), np.diag([-3.0, 3.0, 3.0, 1.0]))  # x to the left
    coarse = scan.to_task_grid("RAS", (6.0, 6.0, 6.0))
    labels = np.zeros(scan.shape, np.uint8)
    labels[0, 2, 4], labels[1, 3, 5], labels[7, 0, 0], labels[7, 7, 7] = 1, 2, 1, 9
    found = organ_voxels(Volume(labels, scan), coarse, ignore=9)
    counts = {
        (int(organ), *map(int, np.unravel_index(place, found.shape))): int(count)
        for organ, place, count in zip(found.organs, found.places, found.counts, strict=True)
    }
    # x is mirrored: 0 and 1 are the last of four coarse voxels
    assert counts == {(1, 2, 1, 3): 1, (2, 2, 1, 3): 1, (1, 0, 0, 0): 1}
    assert np.argwhere(found.mask).tolist() == [[0, 0, 0], [2, 1, 3]]


def test_the_recall_is_that_of_each_organ_before_the_region_is_grown():
    liver, spleen = case({10: 0.9, 11: 0.9}, [10, 11, 12, 13]), case({20: 0.9}, [21], organ=2)
    labels = ("background", "liver", "spleen", "aorta")
    assert organ_recalls([liver, spleen], 0.5, labels) == {"liver": 0.5, "spleen": 0.0}


@pytest.mark.parametrize("voxels", [0, 1, 3, 50])
def test_a_grown_mask_is_a_box_around_a_voxel(voxels):
    mask = np.zeros((9, 8, 7), np.bool_)
    mask[4, 3, 2] = True
    index = np.indices(mask.shape)
    distance = np.abs(index - np.array([4, 3, 2]).reshape(3, 1, 1, 1)).max(axis=0)
    assert np.array_equal(grown(mask, voxels), distance <= voxels)
