"""A label map comes onto its image's grid, along whatever axes it is stored, and no further than rounding allows."""

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.volume import Volume
from bedside.training.data.label_grid import on_image_grid, reoriented_like

from .cubes import GRID, SHAPE, truth

OBLIQUE = Grid(
    SHAPE, nib.affines.from_matvec(np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]]) * (4, 4, 5), (7, 8, 9))
)


@pytest.mark.parametrize("image", [GRID, OBLIQUE], ids=["upright", "oblique"])
@pytest.mark.parametrize("axes", ["LPS", "RAS", "SAR", "IRP"])
def test_a_label_map_along_other_axes_is_the_same_one(image, axes):
    labels = truth()
    labels[3, 4, 5] = 2  # in no mirror image of itself
    stored = nib.Nifti1Image(labels, image.affine)
    change = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(image.affine), nib.orientations.axcodes2ornt(axes)
    )
    other = stored.as_reoriented(change)
    placed = on_image_grid(Volume(np.asarray(other.dataobj), Grid(other.shape, other.affine), ("a remark",)), image)
    assert np.array_equal(placed.data, labels)
    assert (placed.grid, placed.warnings) == (image, ("a remark",))


def test_a_spacing_rounded_to_four_decimals_is_the_images():
    image = Grid((512, 512, 4), np.diag([0.78125, 0.78125, 5, 1]))  # 0.036 mm further at the last corner
    rounded = Grid(image.shape, np.diag([0.7812, 0.7812, 5, 1]))
    assert on_image_grid(Volume(np.zeros(image.shape, np.uint8), rounded), image).grid == image


@pytest.mark.parametrize(("shift", "accepted"), [(0.39, True), (0.41, False)])
def test_a_corner_may_be_a_tenth_of_the_smallest_spacing_away(shift, accepted):
    affine = GRID.affine.copy()  # voxels of 4 × 4 × 5 mm
    affine[2, 3] = shift
    labels = Volume(truth(), Grid(SHAPE, affine))
    if accepted:
        assert on_image_grid(labels, GRID).grid == GRID
    else:
        with pytest.raises(InputError, match=r"0\.41 mm apart at a corner \(at most 0\.1 of the .* allowed, 0\.4 mm\)"):
            on_image_grid(labels, GRID)


def test_sizes_are_compared_along_the_images_axes():
    grid = GRID.reoriented("SAR")
    labels = Volume(np.zeros((15, 20, 24), np.uint8), Grid((15, 20, 24), grid.affine))
    with pytest.raises(InputError, match="24×20×16 voxels against 24×20×15; export the label map again"):
        on_image_grid(labels, GRID)


def test_voxels_are_reordered_and_never_interpolated():
    labels = Volume(truth(), GRID.reoriented("LPS"))
    assert np.shares_memory(reoriented_like(labels, GRID).data, labels.data)
