"""Reading NIfTI: values, types, volumes, label maps."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime.errors import InputError, UsageError
from bedside.runtime.scans.nifti import read_labels, read_volume


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_reads_the_values_and_the_grid_nibabel_wrote(tmp_path, name, nifti):
    volume = read_volume(nifti.saved(tmp_path, name=name))
    assert volume.data.dtype == np.int16
    assert (volume.data == nifti.HU).all()
    assert volume.grid.shape == (6, 5, 4)
    assert volume.grid.affine == pytest.approx(nifti.GRID.affine, abs=1e-5)
    assert volume.warnings == ()


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", ">i2", ">f4"])
def test_reads_every_real_type_in_either_byte_order(tmp_path, dtype, nifti):
    values = np.arange(120, dtype=dtype).reshape(nifti.GRID.shape)
    header = nib.Nifti1Header(endianness=">" if dtype.startswith(">") else "<")
    header.set_data_dtype(dtype)
    nib.save(nib.Nifti1Image(values, nifti.GRID.affine, header, dtype=dtype), tmp_path / "a.nii.gz")
    volume = read_volume(tmp_path / "a.nii.gz")
    assert volume.data.dtype.isnative
    assert volume.data.dtype == ("f4" if "f" in dtype else dtype.strip(">"))
    assert (volume.data == np.arange(120).reshape(nifti.GRID.shape)).all()


def test_reads_nifti_2(tmp_path, nifti):
    nib.save(nib.Nifti2Image(nifti.HU, nifti.GRID.affine), tmp_path / "a.nii.gz")
    assert (read_volume(tmp_path / "a.nii.gz").data == nifti.HU).all()


def test_applies_the_scaling(tmp_path, nifti):
    volume = read_volume(nifti.saved(tmp_path, nifti.HU, scl_slope=0.5, scl_inter=-10))
    assert volume.data.dtype == np.float32
    assert volume.data == pytest.approx(nifti.HU * 0.5 - 10)


def test_slope_zero_means_not_scaled(tmp_path, nifti):
    assert (read_volume(nifti.saved(tmp_path, scl_slope=0, scl_inter=7)).data == nifti.HU).all()


def test_steps_over_header_extensions(tmp_path, nifti):
    image = nib.Nifti1Image(nifti.HU, nifti.GRID.affine)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 500))
    nib.save(image, tmp_path / "a.nii.gz")
    assert (read_volume(tmp_path / "a.nii.gz").data == nifti.HU).all()


def test_reads_the_real_scan(real_data):
    volume = read_volume(real_data / "aorta_ct.nii.gz")
    assert volume.grid.shape == (120, 126, 164)
    assert volume.grid.axes == "LPS"
    assert (volume.data == np.asarray(nib.load(real_data / "aorta_ct.nii.gz").dataobj)).all()


def test_four_dimensions_need_a_choice(tmp_path, nifti):
    series = np.stack([nifti.HU, nifti.HU + 1, nifti.HU + 2], axis=3)
    path = nifti.saved(tmp_path, series)
    nifti.refused(path, "got 3", "--volume")
    for index in range(3):
        assert (read_volume(path, volume=index).data == nifti.HU + index).all()
    nifti.refused(path, "0 to 2", volume=3)
    with pytest.raises(UsageError, match="volume: expected a whole number from 0 up, got -1"):
        read_volume(path, volume=-1)


def test_a_fourth_dimension_of_one_is_no_choice(tmp_path, nifti):
    assert read_volume(nifti.saved(tmp_path, nifti.HU[..., None])).data.shape == nifti.GRID.shape


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(tmp_path, value, nifti):
    data = nifti.HU.astype(np.float32)
    data[1, 2, 3] = data[0, 0, 0] = value
    path = nifti.saved(tmp_path, data)
    nifti.refused(path, "NaN or Inf in plane 1 of 4", "--replace-nan")
    volume = read_volume(path, replace_nan=-1024)
    assert volume.data[1, 2, 3] == volume.data[0, 0, 0] == -1024
    assert volume.warnings == ("2 voxels that were NaN or Inf replaced by -1024",)
    with pytest.raises(UsageError):
        read_volume(path, replace_nan=np.inf)


def test_values_beyond_float32_are_not_finite(tmp_path, nifti):
    nifti.refused(nifti.saved(tmp_path, np.full(nifti.GRID.shape, 1e300)), "NaN or Inf in plane 1 of 4")


def test_labels_are_read_as_the_smallest_unsigned_type(tmp_path, nifti):
    labels = np.arange(120).reshape(nifti.GRID.shape)
    assert read_labels(nifti.saved(tmp_path, labels.astype(np.int32))).data.dtype == np.uint8
    assert read_labels(nifti.saved(tmp_path, labels.astype(np.float64))).data.dtype == np.uint8
    large = read_labels(nifti.saved(tmp_path, (labels * 500).astype(np.int32)))
    assert large.data.dtype == np.uint16
    assert (large.data == labels * 500).all()


@pytest.mark.parametrize("value", [0.5, np.int16(-1), np.int32(70_000)])
def test_what_is_no_label_map_is_refused(tmp_path, value, nifti):
    with pytest.raises(InputError, match="integer labels"):
        read_labels(nifti.saved(tmp_path, np.full(nifti.GRID.shape, value)))
