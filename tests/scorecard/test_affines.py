"""Whatever geometry is accepted is written, and read back in the same place: without any option, and by nibabel."""

import nibabel as nib
import numpy as np
from bedside.runtime import InputError, Result, read_volume

SHAPES = [(3, 3, 3), (1, 1, 1), (512, 4, 2), (2, 900, 3), (40, 30, 20), (3, 2, 60), (30_000, 1, 2)]
CODES = [(1, 0), (0, 1), (1, 1), (2, 1), (4, 2)]  # sform, qform


def rotation(rng):
    """None, half a turn, a slight one or any."""
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    if rng.random() < 0.3:
        axis = np.eye(3)[rng.integers(3)]
    angle = rng.choice([0, np.pi, rng.uniform(0, 1e-3), np.pi - rng.uniform(0, 1e-3), rng.uniform(0, np.pi)])
    cross = np.cross(np.eye(3), axis)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def shear(rng):
    """None, too slight to matter, a gantry tilt, or all axes."""
    sheared = np.eye(3)
    row, column = rng.permutation(3)[:2]
    kind = rng.integers(4)
    if kind in (1, 2):
        sheared[row, column] = rng.uniform(-2e-3, 2e-3) if kind == 1 else np.tan(np.radians(rng.uniform(-30, 30)))
    elif kind == 3:
        sheared += rng.uniform(-0.3, 0.3, (3, 3))
    return sheared


def geometry(rng):
    """An affine: usual or extreme spacings and offsets, left-handed or not, axes in any order."""
    directions = rotation(rng) @ shear(rng) @ (rng.permutation(np.eye(3)) * rng.choice([-1, 1], 3))
    usual = rng.random() < 0.6
    spacing = rng.uniform(0.4, 6, 3) if usual else 10 ** rng.uniform(-2, 2, 3)
    affine = np.eye(4)
    affine[:3, :3] = directions / np.linalg.norm(directions, axis=0) * spacing
    affine[:3, 3] = rng.uniform(-500, 500, 3) if usual else rng.uniform(-1e5, 1e5, 3)
    return affine


def save(path, rng):
    """A scan of some geometry, which sform, qform or both say, in NIfTI-1 or NIfTI-2."""
    affine, (sform_code, qform_code) = geometry(rng), CODES[rng.integers(len(CODES))]
    kind = nib.Nifti1Image if rng.random() < 0.6 else nib.Nifti2Image
    image = kind(np.zeros(SHAPES[rng.integers(len(SHAPES))], np.int8), None)
    image.header.set_zooms(np.linalg.norm(affine[:3, :3], axis=0))
    if qform_code:
        image.set_qform(affine, code=qform_code)
    if sform_code:
        image.set_sform(affine, code=sform_code)
    nib.save(image, path)


def voxels_apart(found, wanted, shape):
    """How far apart two affines put a corner at most, in voxels of the wanted one."""
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in shape])).reshape(3, -1)
    corners = np.vstack([corners, np.ones(8)])
    return np.abs(np.linalg.inv(wanted) @ found @ corners - corners).max()


def test_27_accepted_affines_are_written_and_read_back_within_half_a_voxel(tmp_path, trials, count):
    rng = np.random.default_rng(27)
    worst = 0.0
    while count["the same within half a voxel"] < trials(10_000):
        save(tmp_path / "ct.nii", rng)
        try:
            grid = read_volume(tmp_path / "ct.nii").grid
        except InputError:
            count["refused when read"] += 1
            continue
        labels = np.zeros(grid.shape, np.uint8)
        Result(labels, grid, {}, {}, (), "", "", 0, 0).save(tmp_path / "labels.nii")
        wanted = nib.load(tmp_path / "ct.nii").affine
        for found in (read_volume(tmp_path / "labels.nii").grid.affine, nib.load(tmp_path / "labels.nii").affine):
            apart = voxels_apart(found, wanted, grid.shape)
            assert apart <= 0.5, grid
            worst = max(worst, apart)
        qform, code = nib.load(tmp_path / "labels.nii").get_qform(coded=True)
        assert not code or voxels_apart(qform, wanted, grid.shape) <= 0.5, grid  # of those who believe it instead
        count["the same within half a voxel"] += 1
        count["of these without a qform"] += not code
        count["of these sheared"] += grid.is_sheared
    count["at most apart, in thousandths of a voxel"] = round(1000 * worst)
    assert count["refused when read"] < 0.2 * trials(10_000)
