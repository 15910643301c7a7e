"""The gate's Dice leaves out what its label maps ignore."""

import numpy as np
import pytest
from bedside.export.gate import gate_dice
from bedside.runtime import Bundle, Grid, write_volume

FAT_HU, BONE_HU = 0, 1000


@pytest.mark.parametrize(("ignore", "dice"), [(9, 1.0), (None, pytest.approx(2 * 4 / (4 + 8)))])
def test_ignored_voxels_are_not_compared(tmp_path, bundle_path, ignore, dice):
    """Eight planes of fat beside air; the truth marks four of them and ignores the other four."""
    image, labels = np.full((16, 12, 8), -1000, np.int16), np.zeros((16, 12, 8), np.uint8)
    image[:8], image[12:], labels[:4], labels[4:8], labels[12:] = FAT_HU, BONE_HU, 1, 9, 2
    grid = Grid(image.shape, np.diag([3.0, 3.0, 3.0, 1.0]))
    write_volume(tmp_path / "image.nii", image, grid)
    write_volume(tmp_path / "labels.nii", labels, grid)
    with Bundle.open(bundle_path) as bundle:
        variant = bundle.manifest.variants[0]
    case = tmp_path / "image.nii", tmp_path / "labels.nii"
    assert gate_dice(bundle_path, variant, [case], ignore=ignore)["fat"] == dice
