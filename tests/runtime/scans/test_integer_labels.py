"""Label maps whose whole numbers a scale factor or a float type has blurred, and files that are no label map."""

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.scans.nifti import read_labels

SHAPE = (6, 5, 4)
LABELS = (np.arange(120).reshape(SHAPE) % 14).astype(np.uint8)


def scaled(folder, stored, slope, intercept=0.0):
    """Writes stored integers with a scale factor, as nibabel does when it is asked for a type that is too small."""
    image = nib.Nifti1Image(stored, np.eye(4))
    image.header.set_xyzt_units("mm")
    nib.save(image, folder / "t.nii")
    raw = bytearray((folder / "t.nii").read_bytes())
    header = nib.Nifti1Header(bytes(raw[:348]), check=False)
    header["scl_slope"], header["scl_inter"] = slope, intercept
    raw[:348] = header.binaryblock
    (folder / "t.nii").write_bytes(bytes(raw))
    return folder / "t.nii"


def refusal(path):
    with pytest.raises(InputError) as caught:
        read_labels(path)
    return str(caught.value)


@pytest.mark.parametrize("offset", [0.0, 1e-7, -9e-4, 9e-4])
def test_floats_within_a_thousandth_of_a_whole_number_are_that_number(tmp_path, nifti, offset):
    labels = read_labels(nifti.saved(tmp_path, LABELS.astype(np.float64) + offset)).data
    assert labels.dtype == np.uint8
    assert (labels == LABELS).all()


def test_labels_stored_in_fine_steps_are_what_they_were(tmp_path):
    slope = np.float32(13 / 65535)
    stored = np.rint(LABELS / np.float64(slope)) - 32768
    labels = read_labels(scaled(tmp_path, stored.astype(np.int16), slope, 32768 * np.float64(slope))).data
    assert (labels == LABELS).all()


def test_a_scale_factor_in_single_precision_does_not_blur_high_labels(tmp_path):
    labels = read_labels(scaled(tmp_path, LABELS.astype(np.int16) * 30, np.float32(0.1))).data
    assert (labels == LABELS * 3).all()
    high = read_labels(scaled(tmp_path, LABELS.astype(np.uint8), 5000.0)).data
    assert high.dtype == np.uint16
    assert (high == LABELS.astype(int) * 5000).all()


def test_the_first_fractional_value_is_shown_with_its_voxel(tmp_path, nifti):
    values = LABELS.astype(np.float32)
    values[2, 3, 1] = 1.5
    values[0, 0, 3] = 2.5
    assert refusal(nifti.saved(tmp_path, values)) == (
        '"ct.nii.gz": expected integer labels, got 1.5 at voxel (2, 3, 1); is this the label map?'
    )


def test_a_value_just_beyond_a_thousandth_is_shown(tmp_path, nifti):
    assert "got 1.002 at voxel (1, 0, 0)" in refusal(nifti.saved(tmp_path, (np.indices(SHAPE)[0] * 1.002)))


def test_steps_too_coarse_for_whole_numbers_are_named(tmp_path):
    slope = np.float32(13 / 255)
    said = refusal(scaled(tmp_path, np.rint(LABELS / slope).astype(np.uint8), slope))
    assert said.endswith(
        "got 6.01569 at voxel (1, 0, 0); it is stored in steps of 0.051 (scl_slope): store the integers themselves"
    )


@pytest.mark.parametrize(("value", "shown"), [(-1, "-1"), (70_000, "70000")])
@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_whole_numbers_out_of_range_are_shown_with_the_range(tmp_path, nifti, value, shown, dtype):
    values = LABELS.astype(dtype)
    values[5, 4, 3] = value
    said = refusal(nifti.saved(tmp_path, values))
    assert f"expected integer labels 0…65535, got {shown} at voxel (5, 4, 3)" in said


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_no_label(tmp_path, nifti, value):
    values = LABELS.astype(np.float32)
    values[1, 1, 1] = value
    assert f"got {value} at voxel (1, 1, 1)" in refusal(nifti.saved(tmp_path, values))


def test_a_probability_map_in_eight_bits_is_no_label_map(tmp_path):
    stored = np.linspace(0, 255, 120).reshape(SHAPE).astype(np.uint8)
    assert "expected integer labels, got 0.164706" in refusal(scaled(tmp_path, stored, np.float32(1 / 255)))
