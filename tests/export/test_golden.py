"""The golden patch is the middle of the synthetic trunk, and each variant is measured on it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bedside.devices.measurement.synthetic import synthetic_scan
from bedside.export.golden import GoldenPatch, golden_input
from bedside.export.parity import student_logits
from bedside.runtime.bundles.golden_files import GOLDEN_FILES
from bedside.runtime.engines import open_engine
from bedside.runtime.errors import BundleError, UsageError
from bedside.runtime.task_presets import PRESETS


def test_it_is_the_central_window_of_the_synthetic_scan_as_z_y_x(toy_task):
    patch = golden_input(toy_task)  # 107×80×67 voxels of 3 mm, window 16×12×8 (x, y, z)
    middle = synthetic_scan(toy_task)[45:61, 34:46, 29:37].T
    assert (patch.shape, patch.dtype) == ((1, 1, 8, 12, 16), np.float32)
    assert np.array_equal(patch[0, 0], ((middle + 1000.0) / 2000).astype(np.float16))  # as a bundle stores it


def test_a_window_larger_than_the_trunk_is_padded_with_air_on_both_sides(toy_task):
    patch = golden_input(toy_task.replaced(patch=(16, 12, 80)))[0, 0]  # 67 planes of trunk, 6 before and 7 behind
    assert not patch[:6].any()
    assert not patch[73:].any()
    assert patch[6:73].all()


def test_air_around_the_trunk_of_a_standardised_task_is_its_lowest_value_and_not_0():
    task = PRESETS["amos-ct"].replaced(spacing=(12.0, 12.0, 12.0), patch=(16, 12, 24))  # 17 planes, 3 before
    assert (golden_input(task)[0, 0, :3] == np.float16((-991 - 50) / 141)).all()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_gives_a_finite_patch_with_something_to_see(name):
    task = PRESETS[name]
    coarse = task.replaced(spacing=(8.0, 8.0, 8.0), patch=(32, 32, 32))
    patch = golden_input(coarse)
    assert np.isfinite(patch).all()
    assert np.ptp(patch) > 0.1


def test_agreement_is_the_fraction_of_voxels_with_the_students_label(toy, toy_task, toy_student, tmp_path):
    trunk = golden_input(toy_task)
    golden = GoldenPatch(trunk, student_logits(toy_student, trunk))
    assert (golden.logits.argmax(1) == 1).all()  # all of it is soft tissue
    quarter = golden.logits.copy()
    quarter[:, 2, :2] = 100.0  # the student had called two of the eight planes bone
    (tmp_path / "model.onnx").write_bytes(toy.nearest_mean_model(toy_task.patch.dhw))
    engine = open_engine("onnxruntime", tmp_path / "model.onnx", threads=1, precision="fp32")
    try:
        assert golden.agreement(engine) == 1.0
        assert GoldenPatch(golden.patch, quarter).agreement(engine) == 0.75
    finally:
        engine.close()


class Sure(torch.nn.Module):
    """Calls the trunk background; in other patches, what is brighter than a bound is an organ, without being sure."""

    def __init__(self, trunk, bound):
        super().__init__()
        self.trunk, self.bound = torch.from_numpy(trunk), bound

    def forward(self, x):
        if torch.equal(x, self.trunk):
            return torch.cat([torch.full_like(x, 9.0), torch.zeros_like(x), torch.zeros_like(x)], 1)
        organ = 9 * (x > self.bound).float()
        return torch.cat([9 - organ, organ.clamp(max=1), torch.zeros_like(x)], 1)


def test_where_the_student_is_sure_of_all_of_the_trunk_it_is_a_patch_in_which_it_is_not(toy_task):
    trunk = golden_input(toy_task)
    golden = GoldenPatch.from_student(Sure(trunk, 0.5), toy_task)
    again = GoldenPatch.from_student(Sure(trunk, 0.5), toy_task)
    assert np.array_equal(golden.patch, again.patch)  # bundles stay reproducible
    assert golden.patch.dtype == np.float32
    assert np.array_equal(golden.patch, golden.patch.astype(np.float16))  # as a bundle stores it
    assert 0.1 < (golden.labels == 1).mean() < 0.9


def test_a_student_that_is_sure_everywhere_gets_a_warning(toy_task, caplog):
    GoldenPatch.from_student(Sure(golden_input(toy_task), 99.0), toy_task)
    assert "certain of 100.00 % of the voxels of every synthetic patch" in caplog.text


def test_a_student_that_sees_something_in_the_trunk_is_tested_there(toy, toy_task):
    class Unsure(torch.nn.Module):
        def forward(self, x):
            return torch.cat([x, x, x], 1)

    assert np.array_equal(GoldenPatch.from_student(Unsure(), toy_task).patch, golden_input(toy_task))


def test_its_labels_are_saved_exactly_where_the_probabilities_tie(toy_task, tmp_path):
    logits = np.zeros((1, 3, *toy_task.patch.dhw), np.float32)
    logits[:, 2, :, :, ::2] = 1e-6
    golden = GoldenPatch(golden_input(toy_task), logits)
    golden.save(tmp_path, GOLDEN_FILES)
    assert (np.load(tmp_path / "golden_output.npy") == 85).all()
    saved = np.load(tmp_path / "golden_labels.npy")
    assert (saved.dtype, saved.shape, saved[0, 0, :4].tolist()) == (np.uint8, toy_task.patch.dhw, [2, 0, 2, 0])


def test_a_variant_that_returns_nan_on_it_is_refused(toy, toy_task, toy_student, tmp_path):
    nan = toy.conv_model(np.full((3, 1, 1, 1, 1), np.nan, np.float32), np.zeros(3, np.float32), toy_task.patch.dhw)
    (tmp_path / "model.onnx").write_bytes(nan)
    engine = open_engine("onnxruntime", tmp_path / "model.onnx", threads=1, precision="fp32")
    try:
        with pytest.raises(BundleError, match="NaN"):
            GoldenPatch.from_student(toy_student, toy_task).agreement(engine)
    finally:
        engine.close()


def test_a_student_that_answers_nan_is_refused(toy_task):
    with pytest.raises(UsageError, match="NaN"):
        GoldenPatch.from_student(torch.nn.Threshold(100.0, float("nan")), toy_task)
