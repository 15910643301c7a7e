"""Whatever is given as a scan gives the same planes, or is refused by class."""

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime.errors import InputError, UsageError
from bedside.runtime.scans.open_scan import open_scan
from bedside.runtime.scans.volume import Volume


def test_a_path_a_volume_and_an_image_give_the_same_scan(tmp_path, nifti):
    path = nifti.saved(tmp_path)
    for scan in (path, str(path), Volume(nifti.HU, nifti.GRID), nib.Nifti1Image(nifti.HU, nifti.GRID.affine)):
        opened = open_scan(scan)
        assert opened.grid.coincides(nifti.GRID)
        assert np.array_equal(opened.load().data, nifti.HU)


def test_a_files_voxels_are_read_only_when_they_are_asked_for(tmp_path, nifti):
    path = nifti.saved(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    scan = open_scan(path)
    assert scan.grid.shape == (6, 5, 4)
    with pytest.raises(InputError, match="truncated gzip file"):
        scan.load()


@pytest.mark.parametrize("choice", [{"volume": 0}, {"prefer": "sform"}])
def test_nothing_is_chosen_within_a_volume_in_memory(choice, nifti):
    with pytest.raises(UsageError, match=r"volume and prefer .* choose within a NIfTI file, and this scan is none, or"):
        open_scan(Volume(nifti.HU, nifti.GRID), **choice)


@pytest.mark.parametrize("index", [0, 1])
def test_a_volume_is_chosen_within_an_image(index, nifti):
    image = nib.Nifti1Image(np.stack([nifti.HU, nifti.HU + 1], axis=3), nifti.GRID.affine)
    assert np.array_equal(open_scan(image, volume=index).load().data, nifti.HU + index)


def test_an_array_is_sent_to_the_call_that_takes_its_affine(nifti):
    with pytest.raises(UsageError, match="got a NumPy array; give an array and its affine to segment_array"):
        open_scan(nifti.HU)
    with pytest.raises(UsageError, match=r"expected a path, a Volume or a nibabel NIfTI image, got 3$"):
        open_scan(3)
