"""A scan for the command line: a fat cube in air."""

import nibabel as nib
import numpy as np
import pytest


@pytest.fixture
def scan(tmp_path):
    hu = np.full((20, 20, 20), -1000, np.int16)
    hu[5:15, 5:15, 5:15] = 0
    nib.save(nib.Nifti1Image(hu, np.diag([3, 3, 3, 1])), tmp_path / "ct.nii.gz")
    return tmp_path / "ct.nii.gz"
