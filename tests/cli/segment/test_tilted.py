"""A head scanned with a tilted gantry, from the file to the label map, beside the same head scanned straight."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from bedside.cli.main import run
from scipy.ndimage import map_coordinates

SPACING = np.array([3.0, 3.0, 5.0])
SHAPE = (50, 66, 36)
SURFACES = (
    ([0, 0, 0], np.array([58, 72, 66])),
    ([0, 0, 0], np.array([46, 60, 54])),
    ([-16, 10, 8], np.array([18, 14, 16])),
)


def tilted(degrees):
    """Planes tilted about x while the table moves along z, with the head in the middle."""
    affine = np.diag([*SPACING, 1.0])
    tilt = np.radians(degrees)
    affine[1:3, 1] = SPACING[1] * np.array([np.cos(tilt), np.sin(tilt)])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    return affine


def depths(affine):
    """How deep below the skull's two surfaces and the mass's each voxel lies, in mm to first order."""
    world = np.stack(np.indices(SHAPE), -1) @ affine[:3, :3].T + affine[:3, 3]
    for centre, radii in SURFACES:
        offset = world - centre
        level, slope = np.linalg.norm(offset / radii, axis=-1), np.linalg.norm(offset / radii**2, axis=-1)
        yield (1 - level) * level / np.maximum(slope, 1e-9)


def head(affine):
    """HU of a skull, what it holds, and a calcified mass on the left, with edges as soft as a voxel."""
    outer, inner, mass = (np.clip(depth / 4 + 0.5, 0, 1) for depth in depths(affine))
    return np.rint(-1000 + 1000 * outer + 1000 * (outer - inner + mass)).astype(np.int16)


def scan(affine):
    """The head as a file with both forms; the qform of a tilted scan is the closest rotation."""
    image = nib.Nifti1Image(head(affine), affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    return image


def segmented(bundle, folder, affine, axes=None):
    """Returns the label map that the command line makes of the head, in the order of ``affine``, and what it said."""
    image = scan(affine)
    if axes is not None:
        turn = nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt(axes))
        image = image.as_reoriented(turn)
    nib.save(image, folder / "head.nii.gz")
    output = folder / "labels.nii.gz"
    words = ["segment", bundle, "-i", folder / "head.nii.gz", "-o", output, "--engine", "onnxruntime", "--threads", 1]
    assert run([*map(str, words), "--json", "--force"]) == 0
    labels = nib.load(output)
    assert labels.affine == pytest.approx(image.affine, abs=1e-3)
    return np.asarray(nib.as_closest_canonical(labels).dataobj)


@pytest.mark.parametrize("degrees", [-30, -20, -5, 5, 20, 30])
def test_a_tilted_scan_has_the_labels_of_the_straight_one_where_it_is_seen(bundle_path, tmp_path, capfd, degrees):
    labels = segmented(bundle_path, tmp_path, tilted(degrees))
    said = capfd.readouterr()
    note = f"the scan is sheared by {abs(degrees)}° (gantry tilt)"
    assert note in said.err
    assert note in json.loads(said.out)["notes"][0]
    assert json.loads(said.out)["needs_review"] is False

    step = np.linalg.inv(tilted(0)) @ tilted(degrees)
    places = np.einsum("ab,bxyz->axyz", step[:3, :3], np.indices(SHAPE)) + step[:3, 3, None, None, None]
    hu = map_coordinates(head(tilted(0)).astype(float), places, order=1)
    expected = np.digitize(hu, [-500, 500])  # the bundle's network takes the nearest of air, fat and bone
    seen = np.all([(place >= 0) & (place <= size - 1) for place, size in zip(places, SHAPE, strict=True)], axis=0)
    wrong = (labels != expected) & seen
    to_a_border = np.min(np.abs(list(depths(tilted(degrees)))), axis=0)
    assert to_a_border[wrong].max(initial=0) <= np.linalg.norm(SPACING) / 2
    assert len(np.unique(labels[seen])) == 3
    volumes = [np.bincount(of[seen], minlength=3)[1:] for of in (labels, expected)]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.02)


@pytest.mark.parametrize("axes", ["LPS", "SAR", "PIR", "ILA"])
def test_a_tilted_scan_stored_another_way_has_the_same_labels(bundle_path, tmp_path, axes):
    expected = segmented(bundle_path, tmp_path, tilted(20))
    assert (segmented(bundle_path, tmp_path, tilted(20), axes) == expected).all()


def test_no_qform_is_believed_beside_a_tilted_sform(bundle_path, tmp_path, capfd):
    nib.save(scan(tilted(20)), tmp_path / "head.nii.gz")
    words = ["segment", str(bundle_path), "-i", str(tmp_path / "head.nii.gz"), "-o", str(tmp_path / "labels.nii.gz")]
    assert run([*words, "--use-qform"]) == 3
    assert "sheared by 20° (gantry tilt), which no qform can express" in capfd.readouterr().err
    assert not (tmp_path / "labels.nii.gz").exists()
