from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from bedside.runtime.errors import InputError, ResourceError
from bedside.runtime.labels.restore import scores_to_labels
from bedside.runtime.memory import free_memory, memory_limit
from bedside.runtime.preprocessing.body import body_mask
from bedside.runtime.preprocessing.preprocess import labels_to_model_grid, to_model_input
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import read_labels, read_volume, write_volume
from bedside.runtime.scans.volume import Volume
from bedside.runtime.task import Foreground, Intensity
from bedside.runtime.task_presets import PRESETS
from hypothesis import given, settings
from hypothesis import strategies as st

CT = PRESETS["btcv"].replaced(spacing=(2.0, 2.0, 2.0), patch=(16, 16, 16))
MR = PRESETS["amos-mr"].replaced(spacing=(2.0, 2.0, 2.0), patch=(16, 16, 16))
ORIENTATIONS = [
    "".join(pair[side] for pair, side in zip(order, sides, strict=True))
    for order in permutations(("RL", "AP", "SI"))
    for sides in product((0, 1), repeat=3)
]


def asymmetric(shape: tuple[int, int, int] = (17, 14, 11)) -> Volume:
    """A CT in HU without any symmetry: smooth noise in a body that touches one side."""
    rng = np.random.default_rng(5)
    data = rng.integers(-200, 300, shape).astype(np.int16)
    data[:4] = data[:, :2] = -1000
    spacing = np.array([1.5, 1.7, 3.1, 1], np.float32)  # as a file holds it
    return Volume(data, Grid(shape, np.diag(spacing.astype(float))))


def stored_as(volume: Volume, code: str) -> Volume:
    """The same scan with its voxels stored in another order."""
    grid = volume.grid.reoriented(code)
    i, j, k = np.indices(grid.shape)
    world = np.linalg.inv(volume.grid.affine) @ grid.affine
    x, y, z, _ = np.rint(world @ np.stack([i.ravel(), j.ravel(), k.ravel(), np.ones(i.size)])).astype(int)
    return Volume(volume.data[x, y, z].reshape(grid.shape), grid)


def test_clip_and_scale_of_the_paper():
    data = np.full((4, 4, 4), 75, np.int16)
    data[0, 0] = [-2000, -125, 275, 3000]
    made = to_model_input(Volume(data, Grid((4, 4, 4), np.diag([2, 2, 2, 1.0]))), CT)
    assert made.array.dtype == np.float32
    assert made.array[:, 0, 0] == pytest.approx([0, 0, 1, 1])
    assert made.array[:, 1, 1] == pytest.approx([0.5] * 4)


def test_standardising_of_amos():
    task = PRESETS["amos-ct"].replaced(spacing=(2.0, 2.0, 2.0))
    data = np.full((2, 1, 2), 50, np.int16)
    data[0, 0] = [191, -3000]
    made = to_model_input(Volume(data, Grid((2, 1, 2), np.diag([2, 2, 2, 1.0]))), task)
    assert made.array[:, 0, 0] == pytest.approx([1, (-991 - 50) / 141])
    assert made.array[:, 0, 1] == pytest.approx([0, 0], abs=1e-6)


def test_percentiles_of_mr_are_those_of_the_body():
    data = np.zeros((40, 40, 20), np.float32)
    inside = np.random.default_rng(3).uniform(100, 500, (20, 20, 20)).astype(np.float32)
    data[10:30, 10:30] = inside
    task = MR.replaced(intensity=Intensity(clip=(50.0, 99.0), clip_percentiles=True, scale_to=(0.0, 1.0)))
    made = to_model_input(Volume(data, Grid(data.shape, np.diag([2, 2, 2, 1.0]))), task)
    # The mask is two voxels wider than the 20×20 body, so its median is lower than the body's alone.
    body = np.concatenate([inside.ravel(), np.zeros((24 * 24 - 20 * 20) * 20)])
    low, high = np.percentile(body, [50, 99])
    assert made.array[:, 10:30, 10:30] == pytest.approx(np.clip((inside.T - low) / (high - low), 0, 1), abs=1e-4)


STANDARDISED = Intensity(clip=(0, 100), clip_percentiles=True, standardise=True, padding=0.0)


def test_a_standardised_scan_uses_the_mean_and_deviation_of_the_box_of_its_nonzero_voxels():
    data = np.zeros((5, 4, 3), np.float32)
    data[1:3, 1, 1] = [1, 5]
    data[2, 2, 1] = 2  # the box has four voxels: 1, 5, 0 and 2, of mean 2 and variance (1 + 9 + 4 + 0) / 4
    task = MR.replaced(intensity=STANDARDISED)
    made = to_model_input(Volume(data, Grid(data.shape, np.diag([*task.spacing, 1.0]))), task)
    assert made.array.T[1:3, 1, 1] == pytest.approx(np.array([-1, 3]) / 3.5**0.5)
    assert made.array.T[0, 0, 0] == pytest.approx(-2 / 3.5**0.5)


def test_a_scan_with_one_value_in_its_box_is_not_standardised():
    data = np.zeros((5, 4, 3), np.float32)
    data[1:3] = 7
    with pytest.raises(InputError, match="the image is 7 almost everywhere"):
        to_model_input(Volume(data, Grid(data.shape, np.diag([*MR.spacing, 1.0]))), MR.replaced(intensity=STANDARDISED))


def test_the_input_scan_is_not_changed():
    scan = asymmetric()
    before = scan.data.copy()
    to_model_input(scan, CT.replaced(spacing=scan.grid.spacing))
    assert (scan.data == before).all()


@pytest.mark.parametrize("code", ORIENTATIONS)
def test_all_48_storage_orders_give_the_same_input_and_the_same_labels_in_the_patient(tmp_path, code):
    scan = asymmetric()
    wanted = to_model_input(scan, CT)
    scores = np.random.default_rng(9).normal(size=(4, *wanted.array.shape)).astype(np.float32)
    wanted_labels = scores_to_labels(scores, wanted.grid, scan.grid)
    turned = stored_as(scan, code)
    write_volume(tmp_path / "ct.nii.gz", turned.data, turned.grid)
    made = to_model_input(read_volume(tmp_path / "ct.nii.gz"), CT)
    assert made.source.axes == code
    assert made.grid.axes == "RAS"
    assert (made.array == wanted.array).all()
    assert (made.body == wanted.body).all()
    labels = scores_to_labels(scores, made.grid, made.source)
    back_again = stored_as(Volume(labels, turned.grid), "RAS")
    assert (back_again.data == wanted_labels).all()


def test_the_body_holds_all_tissue_and_the_air_inside_but_not_the_air_far_outside():
    scan = np.full((5, 60, 60), -1000.0, np.float32)
    scan[:, 15:45, 15:45] = 40
    scan[:, 25:35, 20:40] = -850  # lungs
    body = body_mask(scan, -500)
    assert body[:, 15:45, 15:45].all()
    assert body[0, 30, 13]  # two voxels of margin
    assert not body[0, 30, 12]
    assert not body[:, :13].any()


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 999), fraction=st.floats(0, 0.2))
def test_the_body_never_loses_tissue(seed, fraction):
    scan = np.where(np.random.default_rng(seed).random((4, 9, 7)) < fraction, 0.0, -1000.0).astype(np.float32)
    assert body_mask(scan, -500)[scan > -500].all()


def test_the_body_of_the_real_scan_holds_every_organ(real_data):
    scan, organs = read_volume(real_data / "abdomen_ct.nii.gz"), read_labels(real_data / "abdomen_label.nii.gz")
    made = to_model_input(scan, PRESETS["btcv"].replaced(spacing=(3.0, 3.0, 3.0), patch=(64, 64, 64)))
    on_grid = labels_to_model_grid(organs, made.grid)
    assert made.grid == scan.grid
    assert (on_grid == organs.data.T).all()
    assert made.body[on_grid > 0].all()
    assert made.warnings == ()


def test_real_labels_survive_the_way_to_the_model_and_back(real_data):
    organs = read_labels(real_data / "aorta_label.nii.gz")
    grid = organs.grid.to_task_grid("RAS", (1.0, 1.0, 1.5))
    on_grid = labels_to_model_grid(organs, grid)
    back = scores_to_labels(np.stack([on_grid == 0, on_grid == 1]).astype(np.float32), grid, organs.grid)
    dice = 2 * np.logical_and(back, organs.data).sum() / (back.sum(dtype=int) + organs.data.sum(dtype=int))
    assert dice > 0.98


def test_a_scan_of_air_is_searched_whole_and_said_so():
    data = np.full((6, 6, 6), -1000, np.int16)
    data[0, 0, 0] = -900
    made = to_model_input(Volume(data, Grid((6, 6, 6), np.diag([2, 2, 2, 1.0]))), CT)
    assert made.body.all()
    assert any("no tissue" in line for line in made.warnings)


@pytest.mark.parametrize(
    ("low", "high", "task", "words"),
    [
        (-1000, 1000, CT, None),
        (0, 255, CT, "HU"),
        (0, 4000, CT, "offset"),
        (-30000, 1000, CT, "outside"),
        (-1000, -200, CT, "none is in the task's range"),
        (0, 900, MR, None),
        (-1000, 1000, MR, "looks like CT"),
    ],
)
def test_values_that_do_not_suit_the_modality_are_flagged(low, high, task, words):
    data = np.linspace(low, high, 1000, dtype=np.float32).reshape(10, 10, 10)
    warnings = to_model_input(Volume(data, Grid(data.shape, np.diag([2, 2, 2, 1.0]))), task).warnings
    suspicious = [line for line in warnings if "tissue" not in line]
    assert len(suspicious) == (words is not None)
    assert words is None or words in suspicious[0]


def test_a_scan_much_coarser_than_the_task_is_flagged():
    data = np.linspace(-1000, 1000, 512).reshape(8, 8, 8)
    warnings = to_model_input(Volume(data, Grid((8, 8, 8), np.diag([1, 1, 10, 1.0]))), PRESETS["btcv"]).warnings
    assert [line for line in warnings if "coarser" in line and "z 10 mm" in line]


def test_warnings_of_the_reader_are_passed_on():
    scan = asymmetric()
    assert "repaired" in to_model_input(Volume(scan.data, scan.grid, ("repaired",)), CT).warnings


@pytest.mark.parametrize("value", [0, -1000, 3.5])
def test_a_constant_image_is_refused(value):
    with pytest.raises(InputError, match="same value"):
        to_model_input(Volume(np.full((4, 4, 4), value), Grid((4, 4, 4), np.eye(4))), CT)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_array_with_values_that_are_not_finite_is_refused(value):
    data = np.random.default_rng(0).normal(size=(4, 4, 4))
    data[1, 1, 1] = value
    with pytest.raises(InputError, match="finite"):
        to_model_input(Volume(data, Grid((4, 4, 4), np.eye(4))), CT)


def test_values_that_float32_cannot_interpolate_are_refused():
    data = np.array([-3e38, 3e38], np.float32).repeat(4).reshape(2, 2, 2)
    with pytest.raises(InputError, match="scaling"):
        to_model_input(Volume(data, Grid((2, 2, 2), np.diag([3, 3, 3, 1.0]))), CT)


def test_an_mr_without_contrast_in_the_body_is_refused():
    data = np.zeros((60, 60, 60))
    data[20:40, 20:40, 20:40] = 5
    task = MR.replaced(foreground=Foreground(above=0.5, relative=True))
    task = task.replaced(intensity=Intensity(clip=(60.0, 90.0), clip_percentiles=True, scale_to=(0.0, 1.0)))
    with pytest.raises(InputError, match="almost everywhere"):
        to_model_input(Volume(data, Grid(data.shape, np.diag([2, 2, 2, 1.0]))), task)


def test_an_oblique_scan_is_not_rotated():
    data = asymmetric().data
    oblique = np.eye(4)
    oblique[:2, :2] = np.array([[0.8, -0.6], [0.6, 0.8]])
    made = to_model_input(Volume(data, Grid(data.shape, oblique @ np.diag([2.0, 2, 2, 1]))), CT)
    assert (made.array == to_model_input(Volume(data, Grid(data.shape, np.diag([2.0, 2, 2, 1]))), CT).array).all()


def test_an_impossible_field_of_view_is_refused():
    scan = Volume(np.arange(200 * 4).reshape(200, 2, 2), Grid((200, 2, 2), np.diag([50, 1, 1, 1.0])))
    with pytest.raises(InputError, match="10000 mm"):
        to_model_input(scan, CT)


def test_a_scan_that_does_not_fit_into_memory_is_a_resource_error(monkeypatch):
    monkeypatch.setattr(memory_limit, "free_memory", lambda: 1000)
    with pytest.raises(ResourceError, match="free"):
        to_model_input(asymmetric(), CT)


def test_free_memory_is_what_the_address_space_leaves():
    import resource

    limits = resource.getrlimit(resource.RLIMIT_AS)
    before = free_memory.free_memory()
    resource.setrlimit(resource.RLIMIT_AS, (min(before, 2**36), limits[1]))
    try:
        assert free_memory.free_memory() < before
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def test_label_maps_that_are_no_labels_are_refused():
    grid = Grid((2, 2, 2), np.eye(4))
    for values in (np.full((2, 2, 2), -1), np.full((2, 2, 2), 70_000), np.zeros((2, 2, 2))):
        with pytest.raises(InputError, match="integers 0…65535"):
            labels_to_model_grid(Volume(values, grid), grid)


def test_a_volume_checks_its_data():
    grid = Grid((2, 2, 2), np.eye(4))
    with pytest.raises(InputError, match="complex"):
        Volume(np.zeros((2, 2, 2), complex), grid)
    with pytest.raises(InputError, match="shape"):
        Volume(np.zeros((2, 2, 3)), grid)
    assert repr(Volume(np.zeros((2, 2, 2), np.int16), grid)) == "Volume(int16, Grid(2×2×2 voxels, 1×1×1 mm, RAS))"
