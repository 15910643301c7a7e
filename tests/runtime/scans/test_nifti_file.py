"""A file with a checked header: its volumes, its values, and whether it is still the same file."""

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime.errors import InputError, ResourceError
from bedside.runtime.scans.nifti_file import NiftiFile


@pytest.fixture
def series(tmp_path, nifti):
    """Three volumes, each 1 higher than the one before."""
    return nifti.saved(tmp_path, np.stack([nifti.HU + step for step in range(3)], axis=3))


@pytest.mark.parametrize("index", [0, 1, 2])
def test_planes_are_those_of_the_volume_asked_for(series, index, nifti):
    planes = list(NiftiFile.open(series, volume=index).planes())
    assert [plane.shape for plane in planes] == [(5, 6)] * 4
    assert np.array_equal(np.stack(planes).T, nifti.HU + index)


@pytest.mark.parametrize(
    ("volume", "message"),
    [(None, r"one 3D volume, got 3; choose one \(--volume N, from 0\)"), (3, "a volume from 0 to 2, got 3")],
)
def test_a_volume_has_to_be_chosen_among_those_there_are(series, volume, message):
    with pytest.raises(InputError, match=f'^"ct.nii.gz": expected {message}'):
        NiftiFile.open(series, volume=volume)


def test_a_refusal_lists_the_volumes_to_choose_from(series):
    with pytest.raises(InputError) as refused:
        NiftiFile.open(series)
    assert [(each.parameter, each.value, each.text) for each in refused.value.choices] == [
        ("volume", "0", "volume 0"), ("volume", "1", "volume 1"), ("volume", "2", "volume 2")
    ]  # fmt: skip


def test_a_refusal_lists_no_more_volumes_than_a_person_can_read(tmp_path):
    nib.save(nib.Nifti1Image(np.zeros((1, 1, 1, 1001), np.uint8), np.eye(4)), tmp_path / "ct.nii")
    with pytest.raises(InputError, match="got 1001") as refused:
        NiftiFile.open(tmp_path / "ct.nii")
    assert len(refused.value.choices) == 1000


def test_a_volume_is_stored_in_fortran_order_as_the_file_has_it(tmp_path, nifti):
    stored = NiftiFile.open(nifti.saved(tmp_path, scl_slope=0.5, scl_inter=-10)).stored()
    assert (stored.dtype, stored.flags.f_contiguous) == (np.int16, True)
    assert np.array_equal(stored, nifti.HU)


def test_scaled_values_are_float32_and_beyond_it_infinite(tmp_path, nifti):
    file = NiftiFile.open(nifti.saved(tmp_path, scl_slope=1e36, scl_inter=0))
    assert file.yields_float32
    real = file.real(np.array([1, 1000, -1000], np.int16))
    assert real.dtype == np.float32
    assert real.tolist() == [np.float32(1e36), np.inf, -np.inf]


def test_integers_without_scaling_stay_integers(tmp_path, nifti):
    file = NiftiFile.open(nifti.saved(tmp_path))
    assert not file.yields_float32
    assert next(file.planes()).dtype == np.int16


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_a_file_replaced_since_its_header_was_read_is_refused(tmp_path, name, nifti):
    file = NiftiFile.open(nifti.saved(tmp_path, name=name))
    nifti.saved(tmp_path, nifti.HU + 1, name=name).touch()
    with pytest.raises(InputError, match="the file was changed while it was read"):
        next(file.planes())
    with pytest.raises(InputError, match="the file was changed while it was read"):
        file.sha256()


def test_a_wrong_checksum_behind_whole_voxels_is_refused(tmp_path, nifti):
    path = nifti.saved(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[-5] ^= 1
    path.write_bytes(raw)
    with pytest.raises(InputError, match="damaged gzip data"):
        list(NiftiFile.open(path).planes())


def test_a_file_too_small_for_its_header_is_refused_when_it_is_opened(tmp_path, nifti):
    path = nifti.saved(tmp_path, name="ct.nii")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="the file holds fewer"):
        NiftiFile.open(path)


@pytest.mark.parametrize(("fields", "size"), [({}, 240), ({"scl_slope": 2.0, "scl_inter": 0}, 480)])
def test_the_whole_volume_is_refused_where_its_real_values_find_no_memory(tmp_path, monkeypatch, fields, size, nifti):
    file = NiftiFile.open(nifti.saved(tmp_path, **fields))
    asked = []

    def refuse(name, needed):
        asked.append(needed)
        raise ResourceError(f"{name} needs more memory")

    monkeypatch.setattr("bedside.runtime.scans.nifti_file.check_memory", refuse)
    with pytest.raises(ResourceError, match=r'"ct\.nii\.gz": needs'):
        file.stored()
    assert asked == [size]
