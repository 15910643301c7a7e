from __future__ import annotations

import tracemalloc

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from bedside.runtime.errors import Cancelled, UsageError
from bedside.runtime.labels.components import RUN_BYTES, count_runs, find_components
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage


def by_scipy(label_map, connectivity):
    """Every component as (label, set of flat voxel indices)."""
    structure = ndimage.generate_binary_structure(3, 1 if connectivity == 6 else 3)
    found = set()
    for label in np.unique(label_map[label_map > 0]):
        numbered, count = ndimage.label(label_map == label, structure)
        found |= {(int(label), tuple(np.flatnonzero(numbered == k))) for k in range(1, count + 1)}
    return found


def by_erasing_the_others(label_map, components):
    """The same, by way of `Components.erase`."""
    found = set()
    for index, label in enumerate(components.labels):
        alone = label_map.copy(order="K")
        components.erase(alone, np.arange(len(components.labels)) != index)
        assert set(np.unique(alone)) <= {0, label}
        assert np.count_nonzero(alone) == components.voxels[index]
        found.add((int(label), tuple(np.flatnonzero(alone == label))))
    return found


maps = arrays.arrays(
    st.sampled_from([np.uint8, np.uint16]),
    arrays.array_shapes(min_dims=3, max_dims=3, max_side=7),
    elements=st.sampled_from([0, 0, 0, 1, 2, 255]),
)


@pytest.mark.parametrize("connectivity", [6, 26])
@settings(deadline=None, max_examples=150)
@given(label_map=maps, order=st.sampled_from("CF"))
def test_components_are_those_of_scipy(label_map, order, connectivity):
    label_map = np.asarray(label_map, order=order)
    components = find_components(label_map, connectivity=connectivity)
    assert by_erasing_the_others(label_map, components) == by_scipy(label_map, connectivity)


@pytest.mark.parametrize("connectivity", [6, 26])
@pytest.mark.parametrize("density", [0.1, 0.3, 0.6, 0.95])
def test_sizes_in_noise_are_those_of_scipy(rng, density, connectivity):
    noise = (rng.random((40, 31, 23)) < density) * rng.integers(1, 4, (40, 31, 23)).astype(np.uint8)
    components = find_components(noise, connectivity=connectivity)
    sizes = sorted((int(label), int(size)) for label, size in zip(components.labels, components.voxels, strict=True))
    assert sizes == sorted((label, len(voxels)) for label, voxels in by_scipy(noise, connectivity))


def test_a_corner_joins_26_and_not_6():
    label_map = np.zeros((4, 4, 4), np.uint8)
    label_map[1, 1, 1] = label_map[2, 2, 2] = 1
    assert find_components(label_map, connectivity=26).voxels.tolist() == [2]
    assert find_components(label_map, connectivity=6).voxels.tolist() == [1, 1]


def test_opposite_faces_of_the_volume_do_not_touch():
    label_map = np.zeros((3, 3, 3), np.uint8)
    label_map[[0, 2]] = label_map[:, [0, 2]] = label_map[:, :, [0, 2]] = 1
    label_map[1] = 0
    label_map[:, 1] = 0
    label_map[:, :, 1] = 0  # eight corners are left
    assert find_components(label_map).voxels.tolist() == [1] * 8


def test_a_spiral_is_one_component():
    """Many merges of the same two roots: the hard case for union by pointer jumping."""
    plane = np.zeros((41, 41), np.uint8)
    for ring in range(0, 20, 2):
        plane[ring, ring - 1 if ring else 0 : 41 - ring] = 1
        plane[ring : 41 - ring, 40 - ring] = 1
        plane[40 - ring, ring : 41 - ring] = 1
        plane[ring + 2 : 41 - ring, ring] = 1
    plane[20, 19:21] = 1
    assert ndimage.label(plane)[1] == 1
    assert find_components(plane[:, :, None], connectivity=6).voxels.tolist() == [np.count_nonzero(plane)]


def test_only_the_labels_asked_for():
    label_map = np.arange(4, dtype=np.uint8).reshape(4, 1, 1)
    components = find_components(label_map, labels=[1, 3])
    assert components.labels.tolist() == [1, 3]
    components.erase(label_map, np.array([True, True]))
    assert label_map.ravel().tolist() == [0, 0, 2, 0]


def test_an_empty_map_has_none():
    assert len(find_components(np.zeros((2, 3, 4), np.uint16)).labels) == 0


def test_memory_follows_the_runs_and_not_the_voxels():
    label_map = np.zeros((200, 200, 200), np.uint8, order="F")
    label_map[20:180, 20:180, 20:180] = 1  # 160² runs of 160 voxels
    tracemalloc.start()
    try:
        components = find_components(label_map)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert components.voxels.tolist() == [160**3]
    assert taken < 160**2 * 250  # with 26 neighbours: at most 2 pairs per run, held for one direction at a time


@pytest.mark.parametrize(
    ("label_map", "connectivity", "message"),
    [
        (np.zeros((2, 2), np.uint8), 26, "2D"),
        (np.zeros((2, 2, 2), np.int16), 26, "int16"),
        (np.zeros((2, 2, 2), np.uint8), 18, "6 or 26, got 18"),
    ],
)
def test_what_cannot_be_searched_is_refused(label_map, connectivity, message):
    with pytest.raises(UsageError, match=message):
        find_components(label_map, connectivity=connectivity)


def test_runs_are_rows_of_equal_voxels_along_the_first_axis():
    label_map = np.zeros((6, 2, 2), np.uint8)
    label_map[:, 0, 0] = [1, 1, 2, 0, 2, 2]
    label_map[:, 1, 1] = [0, 3, 3, 3, 0, 1]
    assert count_runs(label_map) == 5
    assert count_runs(label_map, labels=[1, 3]) == 3


@pytest.mark.parametrize("values", [2, 30])
def test_a_map_of_noise_needs_no_more_memory_than_its_runs_were_said_to_need(values):
    shape = (60, 60, 60)
    checked = np.indices(shape).sum(0) % 2 if values == 2 else np.random.default_rng(0).integers(0, values, shape)
    label_map = np.asfortranarray(checked.astype(np.uint8))
    runs = count_runs(label_map)
    tracemalloc.start()
    try:
        find_components(label_map)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0.8 * RUN_BYTES * runs < taken < 1.02 * RUN_BYTES * runs


def test_a_search_can_be_cancelled_between_its_steps():
    asked = []
    with pytest.raises(Cancelled):
        find_components(np.ones((3, 3, 3), np.uint8), cancel=lambda: bool(asked.append(1)) or len(asked) == 3)
