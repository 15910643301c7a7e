"""Writing NIfTI: whole, verified and reproducible, or not at all."""

from __future__ import annotations

import gzip
import resource
import time
import tracemalloc

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime.errors import ResourceError, UsageError
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import read_volume, write_planes, write_volume


@pytest.mark.parametrize("name", ["out.nii", "out.nii.gz"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f4", "?"])
def test_what_is_written_reads_back_with_nibabel(tmp_path, name, order, dtype, nifti):
    data = np.asarray(nifti.HU % 200, dtype, order=order)
    write_volume(tmp_path / name, data, nifti.GRID)
    image = nib.load(tmp_path / name)
    assert (np.asarray(image.dataobj) == data).all()
    assert image.get_data_dtype() == (np.uint8 if dtype == "?" else dtype)
    for form, code in (image.get_sform(coded=True), image.get_qform(coded=True)):
        assert form == pytest.approx(nifti.GRID.affine, abs=1e-4)
        assert code == 1
    assert image.header.get_xyzt_units()[0] == "mm"
    assert bytes(image.header["descrip"].tobytes()).strip(b"\0") == b""
    assert list(tmp_path.iterdir()) == [tmp_path / name]


def test_the_same_labels_give_the_same_bytes(tmp_path, nifti):
    labels = (nifti.HU > 0).astype(np.uint8)
    write_volume(tmp_path / "a.nii.gz", labels, nifti.GRID)
    first = (tmp_path / "a.nii.gz").read_bytes()
    time.sleep(1.1)  # gzip's date has whole seconds
    write_volume(tmp_path / "a.nii.gz", labels, nifti.GRID)
    assert (tmp_path / "a.nii.gz").read_bytes() == first


def test_an_oblique_grid_survives_writing(tmp_path, nifti):
    affine = np.eye(4)
    affine[:2, :2] = np.array([[0.8, -0.6], [0.6, 0.8]]) * 1.3
    grid = Grid(nifti.GRID.shape, affine)
    write_volume(tmp_path / "a.nii.gz", nifti.HU, grid)
    assert read_volume(tmp_path / "a.nii.gz").grid.affine == pytest.approx(affine, abs=1e-6)


def test_a_sheared_grid_is_written_without_qform(tmp_path, nifti):
    affine = np.diag([1.0, 1, 3, 1])
    affine[1, 2] = 0.5
    write_volume(tmp_path / "a.nii.gz", nifti.HU, Grid(nifti.GRID.shape, affine))
    assert nib.load(tmp_path / "a.nii.gz").get_qform(coded=True)[1] == 0
    assert read_volume(tmp_path / "a.nii.gz").grid.affine == pytest.approx(affine)


@pytest.mark.parametrize(("name", "target"), [("out.nii.gz", "store.nii"), ("out.nii", "store.nii.gz")])
def test_a_link_to_a_file_of_the_other_ending_is_refused_and_the_file_stays(tmp_path, nifti, name, target):
    (tmp_path / target).write_bytes(b"before")
    (tmp_path / name).symlink_to(target)
    with pytest.raises(UsageError, match=f'output "{name}": expected a link to a file with the same ending'):
        write_volume(tmp_path / name, nifti.HU, nifti.GRID)
    assert (tmp_path / target).read_bytes() == b"before"


@pytest.mark.parametrize("target", ["store.nii.gz", "4f5a2b"])
def test_a_link_to_a_file_of_the_same_ending_or_none_is_written_as_its_own_name_says(tmp_path, nifti, target):
    (tmp_path / "out.nii.gz").symlink_to(target)
    write_volume(tmp_path / "out.nii.gz", nifti.HU, nifti.GRID)
    assert (np.asarray(nib.load(tmp_path / "out.nii.gz").dataobj) == nifti.HU).all()
    assert (tmp_path / target).read_bytes()[:2] == b"\x1f\x8b"


@pytest.mark.parametrize("name", ["out.png", "out.nii.zip", "out", ".nii.gz", "out.nii.gz.txt"])
def test_another_file_ending_is_a_usage_error(tmp_path, name, nifti):
    with pytest.raises(UsageError, match=r"\.nii or \.nii\.gz"):
        write_volume(tmp_path / name, nifti.HU, nifti.GRID)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_a_resource_error(tmp_path, nifti):
    with pytest.raises(ResourceError, match=r"out\.nii\.gz") as caught:
        write_volume(tmp_path / "none" / "out.nii.gz", nifti.HU, nifti.GRID)
    assert caught.value.exit_code == 5


def test_a_full_disk_leaves_the_old_file(tmp_path, nifti):
    write_volume(tmp_path / "a.nii", nifti.HU, nifti.GRID)
    old = (tmp_path / "a.nii").read_bytes()
    noise = np.random.default_rng(0).integers(0, 9999, (64, 64, 64)).astype(np.int16)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))  # writing further fails with "File too large"
    try:
        with pytest.raises(ResourceError, match="too large"):
            write_volume(tmp_path / "a.nii", noise, Grid(noise.shape, np.eye(4)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert (tmp_path / "a.nii").read_bytes() == old
    assert list(tmp_path.iterdir()) == [tmp_path / "a.nii"]


def test_a_file_that_does_not_read_back_never_reaches_its_name(tmp_path, monkeypatch, nifti):
    write_volume(tmp_path / "a.nii.gz", nifti.HU, nifti.GRID)
    old = (tmp_path / "a.nii.gz").read_bytes()
    real_write = gzip.GzipFile.write
    # A disk that returns another bit than it was given.
    monkeypatch.setattr(gzip.GzipFile, "write", lambda file, data: real_write(file, bytes(data)[:-1] + b"\7"))
    with pytest.raises(ResourceError, match="back"):
        write_volume(tmp_path / "a.nii.gz", np.zeros(nifti.GRID.shape, np.uint8), nifti.GRID)
    assert (tmp_path / "a.nii.gz").read_bytes() == old
    assert list(tmp_path.iterdir()) == [tmp_path / "a.nii.gz"]


def test_data_that_do_not_fit_are_refused(tmp_path, nifti):
    with pytest.raises(UsageError, match="shape"):
        write_volume(tmp_path / "a.nii", nifti.HU[:-1], nifti.GRID)
    with pytest.raises(UsageError, match="complex"):
        write_volume(tmp_path / "a.nii", nifti.HU.astype(np.complex64), nifti.GRID)
    with pytest.raises(UsageError, match="ASCII"):
        write_volume(tmp_path / "a.nii", nifti.HU, nifti.GRID, description="x" * 80)


@pytest.mark.parametrize("name", ["out.nii", "out.nii.gz"])
@pytest.mark.parametrize("dtype", ["u1", "i2", ">i2", "f4"])
def test_planes_that_come_one_by_one_are_the_same_volume(tmp_path, name, dtype, nifti):
    data = (nifti.HU % 200).astype(dtype)
    write_planes(tmp_path / name, iter(data.T), data.dtype, nifti.GRID)
    assert (read_volume(tmp_path / name).data == data).all()
    assert nib.load(tmp_path / name).affine == pytest.approx(nifti.GRID.affine, abs=1e-4)


def test_memory_holds_few_of_the_planes_that_come_one_by_one(tmp_path):
    shape = (256, 256, 64)
    planes = (np.full((256, 256), place, np.float32) for place in range(64))
    tracemalloc.start()
    try:
        write_planes(tmp_path / "out.nii.gz", planes, np.dtype(np.float32), Grid(shape, np.eye(4)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 256 * 256 * 64 / 4


@pytest.mark.parametrize("count", [2, 5])
def test_planes_that_are_too_few_or_too_many_are_refused_and_leave_no_file(tmp_path, count):
    planes = np.zeros((count, 3, 4), np.float32)
    with pytest.raises(UsageError, match="expected 3 planes"):
        write_planes(tmp_path / "out.nii", planes, planes.dtype, Grid((4, 3, 3), np.eye(4)))
    assert list(tmp_path.iterdir()) == []


def test_planes_that_read_back_differently_are_noticed(tmp_path, monkeypatch):
    planes = np.zeros((3, 3, 4), np.float32)
    monkeypatch.setattr("bedside.runtime.scans.nifti.NiftiFile.stored_planes", lambda file: iter(planes + 1))
    with pytest.raises(ResourceError, match="reads back differently"):
        write_planes(tmp_path / "out.nii", planes, planes.dtype, Grid((4, 3, 3), np.eye(4)))
    assert list(tmp_path.iterdir()) == []
