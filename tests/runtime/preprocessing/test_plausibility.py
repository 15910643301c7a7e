"""What deserves a look about a scan that can be worked on: a unit or modality that is not the task's, a thin scan."""

from __future__ import annotations

import numpy as np
import pytest
from bedside.runtime.preprocessing.plausibility import geometry_warnings, value_warnings, without_patch_warnings
from bedside.runtime.preprocessing.preprocess import to_model_input
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.intensity_sample import IntensitySample
from bedside.runtime.scans.volume import Volume
from bedside.runtime.task import Intensity
from bedside.runtime.task_presets import PRESETS

CT = PRESETS["btcv"].replaced(spacing=(2.0, 2.0, 2.0), patch=(32, 32, 32))
MR = PRESETS["amos-mr"].replaced(spacing=(2.0, 2.0, 2.0), patch=(32, 32, 32))
NORMALISED_CT = CT.replaced(intensity=Intensity(clip=(0.0, 1.0), scale_to=(-1.0, 1.0)))


def warnings(values, task):
    return value_warnings(IntensitySample.of(values), float(values.min()), float(values.max()), task)


def grid(shape, spacing=(2.0, 2.0, 2.0), codes="RAS"):
    return Grid(shape, np.diag([*spacing, 1.0])).reoriented(codes)


def test_the_warning_says_in_one_line_what_was_expected_and_what_came(trunk):
    (line,) = warnings(trunk + 1024, CT)
    assert line.startswith("intensities: expected CT in HU (air near -1000, muscle near 50), but half of the values")
    assert "this looks like CT without its offset" in line
    assert "\n" not in line


def test_a_ct_given_to_an_mr_task_is_noticed(trunk):
    (line,) = warnings(trunk, MR)
    assert line.startswith("intensities: expected MR, got values from -1024 to")
    assert line.endswith("this looks like CT")


@pytest.mark.parametrize(("task", "modality"), [(CT, "CT"), (MR, "MR"), (NORMALISED_CT, "CT")])
@pytest.mark.parametrize("highest", [1, 13, 104])
def test_a_label_map_given_as_a_scan_is_noticed(task, modality, highest):
    labels = np.arange(50**3).reshape(50, 50, 50, order="F") // 500 % (highest + 1)  # bands of ten rows
    assert warnings(labels, task) == (
        f"intensities: expected {modality}, got 0 to {highest} in few whole numbers: this looks like a label map; "
        "give the scan",
    )


def test_thin_structures_make_a_label_map_too():
    labels = np.zeros((30, 30, 30), np.uint8)
    labels[5:25, 10, 10], labels[5:25, 20, 20] = 1, 2
    assert len(warnings(labels, MR)) == 1


def test_few_grey_values_alone_make_no_label_map():
    few = np.arange(30**3).reshape(30, 30, 30) % 14
    assert warnings(few * 0.5, MR) == ()
    assert warnings(few[:5], MR) == ()
    assert warnings(few - 1, MR) == warnings(few + 1, MR) == ()
    assert warnings(np.arange(30**3).reshape(30, 30, 30) % 21, MR) == ()


def test_an_mr_of_8_bits_on_an_empty_background_is_no_label_map(brain_mr):
    grey = (brain_mr * (255 / brain_mr.max())).astype(np.uint8)
    grey[:9] = 0
    assert np.unique(grey).size <= 256
    assert warnings(grey, MR) == ()


def test_scans_of_the_tasks_modality_raise_no_doubt(trunk, brain_mr):
    assert (warnings(trunk, CT), warnings(brain_mr, MR)) == ((), ())


@pytest.mark.parametrize("clip", [(-160.0, 240.0), (0.0, 80.0), (-1000.0, 3000.0), (-1350.0, 150.0)])
def test_the_judgement_does_not_depend_on_the_tasks_window(trunk, clip):
    task = CT.replaced(intensity=Intensity(clip=clip, scale_to=(0.0, 1.0)))
    assert warnings(trunk, task) == ()
    assert len(warnings(trunk + 1024, task)) == 1


def test_a_task_made_for_normalised_values_gets_them_without_a_warning(trunk):
    assert warnings((trunk.astype(np.float32) + 1024) / 4096, NORMALISED_CT) == ()


@pytest.mark.parametrize("codes", ["RAS", "LPS", "ASL", "PIR", "SRP"])
def test_the_verdict_does_not_depend_on_the_stored_orientation(trunk, codes):
    target = grid(trunk.shape).reoriented(codes)
    order = [int(np.abs(target.affine[:3, axis]).argmax()) for axis in range(3)]
    turned = np.ascontiguousarray(trunk.transpose(order))
    for axis in range(3):
        turned = np.flip(turned, axis) if target.affine[:3, axis].sum() < 0 else turned
    for values, expected in ((turned, 0), (turned + 1024, 1), (turned / 1000, 1)):
        found = to_model_input(Volume(values, target), CT).warnings
        assert len([line for line in found if line.startswith("intensities")]) == expected


@pytest.mark.parametrize("slices", [1, 2, 6])
def test_the_verdict_does_not_depend_on_the_number_of_slices(trunk, slices):
    assert warnings(trunk[:, :, :slices], CT) == ()
    assert len(warnings(trunk[:, :, :slices] + 1024, CT)) == 1


@pytest.mark.parametrize("shape", [(40, 40, 1), (40, 40, 2), (40, 40, 10)])
def test_a_few_slices_are_said_to_be_thin_along_their_axis(shape):
    (line,) = geometry_warnings(grid(shape), CT)
    assert f"(z {2 * shape[2]} mm of the patch's 64 mm)" in line


def test_a_small_crop_is_thin_along_every_axis():
    (line,) = geometry_warnings(grid((10, 10, 10)), CT)
    assert "(x 20 mm of the patch's 64 mm, y 20 mm of the patch's 64 mm, z 20 mm of the patch's 64 mm)" in line


def test_the_warning_about_the_patch_is_found_among_others():
    coarse = geometry_warnings(grid((10, 10, 10), (2.0, 2.0, 20.0)), CT)
    assert ["coarser" in line for line in coarse] == [True, False]
    assert without_patch_warnings(coarse) == coarse[:1]


def test_the_axis_is_the_patients_however_the_scan_is_stored():
    assert "(z 8 mm of" in geometry_warnings(grid((40, 40, 4), codes="SRA"), CT)[0]


@pytest.mark.parametrize("shape", [(11, 11, 11), (32, 32, 32), (64, 64, 20)])
def test_a_scan_of_a_third_of_the_patch_is_not_thin(shape):
    assert geometry_warnings(grid(shape), CT) == ()


def test_scans_of_hippocampi_are_not_thin_for_the_patch_they_are_trained_with():
    task = MR.replaced(spacing=(1.0, 1.0, 1.0), patch=(64, 64, 64))
    assert geometry_warnings(grid((31, 40, 24), (1.0, 1.0, 1.0)), task) == ()


@pytest.mark.parametrize("padding", [-1000, -2000, -32768])
def test_padding_does_not_move_the_percentiles_of_an_mr(brain_mr, padding):
    narrow = brain_mr.copy()
    narrow[:6] = narrow[-6:] = narrow[9, 9, 9] = 0
    padded = narrow.copy()
    padded[:6] = padded[-6:] = padding
    for spacing in (2.0, 1.7):  # as stored, and resampled across the padding's edge
        plain, other = (
            to_model_input(Volume(values, grid(values.shape, (spacing,) * 3)), MR) for values in (narrow, padded)
        )
        assert (plain.array == other.array).all()
        assert (plain.body == other.body).all()
