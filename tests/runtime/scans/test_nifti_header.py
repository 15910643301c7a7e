"""NIfTI headers: what cannot be true is refused, and contradicting geometries are both named."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.scans.nifti import read_volume


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"pixdim": [1, 0, 1, 1, 0, 0, 0, 0]}, "spacing"),
        ({"pixdim": [1, -1, 1, 1, 0, 0, 0, 0]}, "spacing"),
        ({"pixdim": [1, np.nan, 1, 1, 0, 0, 0, 0]}, "spacing"),
        ({"srow_x": [0, 0, 0, 0]}, "spacing"),
        ({"srow_x": [np.nan, 0, 0, 0]}, "finite"),
        ({"srow_x": [-0.7, 0.8, 0, 0], "srow_y": [0, 0, 0, 0]}, "singular"),
        ({"srow_z": [0, 0, 2.5, np.inf]}, "finite"),
        ({"sform_code": 0}, "left and right"),
        ({"sform_code": 77}, "codes"),
        ({"qform_code": -1}, "codes"),
        ({"xyzt_units": 1}, "millimetres"),
        ({"dim": [3, 0, 5, 4, 1, 1, 1, 1]}, "dimensions"),
        ({"dim": [3, -6, 5, 4, 1, 1, 1, 1]}, "dimensions"),
        ({"dim": [0, 6, 5, 4, 1, 1, 1, 1]}, "dimensions"),
        ({"dim": [2, 6, 20, 1, 1, 1, 1, 1]}, "2D"),
        ({"dim": [9, 6, 5, 4, 1, 1, 1, 1]}, "ct.nii.gz"),
        ({"datatype": 32}, "complex"),
        ({"datatype": 128}, "RGB"),
        ({"datatype": 1}, "voxel"),
        ({"datatype": 9999}, "9999"),
        ({"datatype": 8}, "bits"),
        ({"bitpix": 8}, "bits"),
        ({"vox_offset": 100}, "start"),
        ({"vox_offset": np.nan}, "start"),
        ({"vox_offset": 352.5}, "start"),
        ({"vox_offset": 1e30}, "start"),
        ({"scl_slope": np.inf}, "scaling"),
        ({"scl_slope": 1, "scl_inter": np.nan}, "scaling"),
    ],
)
def test_a_header_that_cannot_be_true(tmp_path, fields, word, nifti):
    nifti.refused(nifti.saved(tmp_path, **fields), word)


def test_sform_and_qform_that_disagree_are_both_named(tmp_path, nifti):
    image = nib.Nifti1Image(nifti.HU, nifti.GRID.affine)
    mirrored = nifti.GRID.affine.copy()
    mirrored[0] *= -1
    image.set_sform(nifti.GRID.affine, code=1)
    image.set_qform(mirrored, code=1)
    nib.save(image, tmp_path / "a.nii.gz")
    nifti.refused(tmp_path / "a.nii.gz", "sform", "qform", "--use-sform")
    assert read_volume(tmp_path / "a.nii.gz", prefer="sform").grid.axes == "LPS"
    assert read_volume(tmp_path / "a.nii.gz", prefer="qform").grid.axes == "RPS"


@pytest.mark.parametrize(("shift", "accepted"), [(0.3, True), (0.4, False)])
def test_half_a_voxel_is_where_disagreement_begins(tmp_path, shift, accepted, nifti):
    image = nib.Nifti1Image(nifti.HU, nifti.GRID.affine)
    shifted = nifti.GRID.affine.copy()
    shifted[0, 3] += shift  # a voxel is 0.7 mm
    image.set_sform(nifti.GRID.affine, code=1)
    image.set_qform(shifted, code=1)
    nib.save(image, tmp_path / "a.nii.gz")
    if accepted:
        assert read_volume(tmp_path / "a.nii.gz").grid.affine == pytest.approx(nifti.GRID.affine, abs=1e-5)
    else:
        nifti.refused(tmp_path / "a.nii.gz", "sform", "qform")


def test_a_stale_pixdim_is_refused_and_the_sform_can_be_chosen(tmp_path, nifti):
    path = nifti.saved(tmp_path, pixdim=[1, 1, 1, 1, 0, 0, 0, 0])
    nifti.refused(path, "sform", "pixdim")
    assert read_volume(path, prefer="sform").grid.spacing == pytest.approx(nifti.GRID.spacing)
    nifti.refused(path, "no qform is set, only a sform", prefer="qform")


def test_a_broken_quaternion_is_refused(tmp_path, nifti):
    path = nifti.saved(tmp_path, qform_code=1, quatern_b=5, sform_code=0)
    nifti.refused(path, "rotation")


def test_a_qform_alone_is_enough(tmp_path, nifti):
    image = nib.Nifti1Image(nifti.HU, None)
    image.set_qform(nifti.GRID.affine, code=1)
    nib.save(image, tmp_path / "a.nii.gz")
    assert read_volume(tmp_path / "a.nii.gz").grid.affine == pytest.approx(nifti.GRID.affine, abs=1e-4)


@pytest.mark.filterwarnings("error")
def test_a_mutated_header_is_refused_or_valid(tmp_path, nifti):
    path = nifti.saved(tmp_path)
    whole = gzip.decompress(path.read_bytes())
    generator = np.random.default_rng(11)
    for _ in range(300):
        damaged = bytearray(whole)
        for position in generator.integers(0, 348, 3):
            damaged[position] = generator.integers(0, 256)
        path.write_bytes(gzip.compress(damaged, 1))
        try:
            volume = read_volume(path)
        except InputError:
            continue
        assert np.isfinite(volume.grid.affine).all()
        assert np.isfinite(volume.data).all()


@pytest.mark.filterwarnings("error")
def test_a_signalling_nan_in_the_header_is_refused_without_a_warning(tmp_path, nifti):
    path = nifti.saved(tmp_path, name="ct.nii")
    raw = bytearray(path.read_bytes())
    raw[280:284] = b"\x01\x00\xa0\x7f"  # srow_x[0]
    path.write_bytes(raw)
    nifti.refused(path, "finite")


def test_an_analyze_pair_is_named(tmp_path, nifti):
    nifti.refused(nifti.saved(tmp_path, magic=b"ni1"), "pair")
