import dataclasses
import pickle

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime import Grid, Result
from bedside.runtime.result import label_volumes

GRID = Grid((4, 3, 2), np.diag([2.0, 2.0, 2.5, 1.0]))  # 0.01 ml per voxel


def result(labels, grid=GRID, warnings=()):
    return Result(labels, grid, {}, {}, warnings, "onnxruntime", "fp32", 1, 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("order", ["C", "F"])
def test_volumes_are_voxels_times_the_volume_of_one(dtype, order):
    labels = np.zeros(GRID.shape, dtype, order=order)
    labels[:, 0, :] = 1
    labels[0, 1, 0] = 2
    volumes = label_volumes(labels, ("background", "fat", "bone", "lung"), GRID)
    assert volumes == pytest.approx({"fat": 0.08, "bone": 0.01, "lung": 0})
    assert list(volumes) == ["fat", "bone", "lung"]


def test_warnings_alone_ask_for_a_review():
    labels = np.zeros(GRID.shape, np.uint8)
    assert not result(labels).needs_review
    assert result(labels, warnings=("the result is empty",)).needs_review


def test_a_result_that_an_earlier_version_pickled_has_an_unknown_device():
    made = result(np.ones(GRID.shape, np.uint8))
    del vars(made)["device"]
    read = pickle.loads(pickle.dumps(made))
    assert (read.engine, read.device) == ("onnxruntime", "")


def test_a_tilted_gantry_is_a_note_and_no_warning():
    affine = GRID.affine.copy()
    affine[1, 2] = 2.5 * np.tan(np.radians(20))
    tilted = result(np.zeros(GRID.shape, np.uint8), Grid(GRID.shape, affine))
    assert result(tilted.labels).notes == ()
    assert tilted.notes[0].startswith("the scan is sheared by 20° (gantry tilt)")
    assert not tilted.needs_review


def test_float16_for_want_of_memory_is_a_note_and_no_warning():
    short = dataclasses.replace(result(np.zeros(GRID.shape, np.uint8)), short_of_memory=True)
    (note,) = short.notes
    assert note.startswith("memory was short, so that scores waited in float16")
    assert not short.needs_review


def test_a_saved_label_map_says_who_wrote_it(tmp_path):
    labels = np.arange(24).reshape(GRID.shape).astype(np.uint8)
    result(labels).save(tmp_path / "labels.nii.gz")
    image = nib.load(tmp_path / "labels.nii.gz")
    assert np.array_equal(np.asarray(image.dataobj), labels)
    assert image.affine == pytest.approx(GRID.affine)
    assert bytes(image.header["descrip"].tobytes()).rstrip(b"\0") == b"bedside label map"  # `segment` looks for it
