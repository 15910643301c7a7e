"""However a scan's axes are tilted or sheared, the labels lie on the organ."""

import numpy as np
import pytest
from bedside.runtime import Grid, Segmenter

BODY_RADII, ORGAN_RADII = np.array([30.0, 25.0, 21.0]), np.array([15.0, 11.0, 9.0])  # mm, along the patient's axes
AIR, FAT, BONE = -1000.0, 0.0, 1000.0


def rotation(rng):
    """A random rotation, half of the time a small one."""
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    angle = rng.uniform(0, np.pi) if rng.random() < 0.5 else rng.uniform(0, 0.3)
    cross = np.cross(np.eye(3), axis)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def oblique_grid(rng, centre):
    """A tilted grid around ``centre`` that holds the body, with spacings of 1.5 to 5 mm and axes in any order."""
    spacing = rng.uniform(1.5, 5, 3)
    flips = rng.permutation(np.eye(3)) * rng.choice([-1, 1], 3)
    affine = np.eye(4)
    affine[:3, :3] = rotation(rng) @ flips @ np.diag(spacing)
    shape = np.ceil(80 / spacing).astype(int)
    affine[:3, 3] = centre - affine[:3, :3] @ ((shape - 1) / 2 + rng.uniform(-1, 1, 3))
    return Grid(shape, affine)


def distance_inside(grid, centre, radii):
    """Depth below an ellipsoid's surface in mm (negative outside), to first order, for every voxel centre."""
    index = np.stack(np.meshgrid(*[np.arange(size) for size in grid.shape], indexing="ij"), -1)
    offset = index @ grid.affine[:3, :3].T + grid.affine[:3, 3] - centre
    level = np.linalg.norm(offset / radii, axis=-1)
    slope = np.linalg.norm(offset / radii**2, axis=-1)
    return (1 - level) * level / np.maximum(slope, 1e-9)


def soft(depth, width):
    """How much of a voxel of this width lies inside: what a scanner measures at an edge."""
    return np.clip(depth / width + 0.5, 0, 1)


def sheared_grid(rng, centre):
    """A grid around ``centre`` whose axes are sheared, one pair by up to 45° or all of them, and turned at random."""
    spacing = rng.uniform(1.5, 5, 3)
    shear = np.eye(3)
    if rng.random() < 0.5:  # a gantry tilt: one pair of axes
        row, column = rng.permutation(3)[:2]
        shear[row, column] = rng.choice([-1, 1]) * rng.uniform(0.002, 1)
    else:
        shear += rng.uniform(-0.3, 0.3, (3, 3))
    directions = rotation(rng) @ shear @ (rng.permutation(np.eye(3)) * rng.choice([-1, 1], 3))
    affine = np.eye(4)
    affine[:3, :3] = directions / np.linalg.norm(directions, axis=0) * spacing
    # As many voxels as it takes for the body to be seen: planes of a sheared grid lie closer than its spacing.
    planes = 1 / np.linalg.norm(np.linalg.inv(affine[:3, :3]), axis=1)
    shape = np.ceil(80 / planes).astype(int)
    affine[:3, 3] = centre - affine[:3, :3] @ ((shape - 1) / 2 + rng.uniform(-1, 1, 3))
    return Grid(shape, affine)


def check(segmenter, grid, rng, centre):
    """Segments a body with an organ near ``centre``; every wrong voxel is within half a voxel of a border."""
    organ = centre + rng.uniform(-1, 1, 3) * (BODY_RADII - ORGAN_RADII) * 0.3
    # The network works at 3 mm: finer detail than that, or than the scan's own voxels, cannot come back.
    voxel = max(*grid.spacing, 3.0)
    half = np.linalg.norm(np.maximum(grid.spacing, 3.0)) / 2
    body, bone = (distance_inside(grid, place, radii) for place, radii in ((centre, BODY_RADII), (organ, ORGAN_RADII)))
    hu = AIR + (FAT - AIR) * soft(body, voxel) + (BONE - FAT) * soft(bone, voxel)
    labels = segmenter.segment_array(hu.astype(np.float32), grid.affine, skip_air=False).labels
    wrong_bone = (labels == 2) != (bone > 0)
    wrong_body = (labels > 0) != (body > 0)
    assert np.abs(bone[wrong_bone]).max(initial=0) <= half, grid
    assert np.abs(body[wrong_body]).max(initial=0) <= half, grid
    found = np.argwhere(labels == 2).mean(0) @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    assert np.linalg.norm(found - organ) <= min(grid.spacing) / 2, grid


@pytest.mark.parametrize(
    ("made", "full", "seed"), [(oblique_grid, 350, 6), (sheared_grid, 150, 66)], ids=["oblique", "sheared"]
)
def test_06_labels_of_oblique_and_sheared_scans_lie_within_half_a_voxel(bundle_path, trials, count, made, full, seed):
    rng = np.random.default_rng(seed)
    with Segmenter.load(bundle_path, engine="onnxruntime", threads=1) as segmenter:
        for _ in range(trials(full)):
            centre = rng.uniform(-100, 100, 3)
            check(segmenter, made(rng, centre), rng, centre)
            count["within half a voxel"] += 1


def test_06_the_sheared_grids_are_sheared(rng):
    """They are what they are made for: few of them straight, and none beyond what is taken."""
    angles = [sheared_grid(rng, np.zeros(3)).shear_degrees for _ in range(100)]
    assert max(angles) < 60
    assert sum(angle > 1 for angle in angles) > 90
