"""However a scan is stored, the labels lie on the same organ in the world."""

import itertools

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime import Segmenter

ORIENTATIONS = [
    "".join(flip) for order in itertools.permutations(("RL", "AP", "SI")) for flip in itertools.product(*order)
]


@pytest.fixture(scope="module")
def scans():
    """Three asymmetric volumes of fat and bone in air, RAS, 3 mm."""
    rng = np.random.default_rng(5)
    volumes = []
    for _ in range(3):
        hu = np.full((22, 18, 14), -1000, np.int16)
        hu[3:19, 2:15, 1:12] = 0
        for _ in range(4):
            corner = rng.integers((3, 2, 1), (15, 11, 8))
            hu[tuple(slice(int(k), int(k) + 4) for k in corner)] = 1000
        volumes.append(nib.Nifti1Image(hu, np.array([[3, 0, 0, -20], [0, 3, 0, 7], [0, 0, 3, 40], [0, 0, 0, 1.0]])))
    return volumes


def stored_as(image, axes):
    transform = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(image.affine), nib.orientations.axcodes2ornt(axes)
    )
    return image.as_reoriented(transform)


def test_05_all_48_orientations_give_the_same_world_labels(bundle_path, scans, tmp_path, trials, count):
    assert len(ORIENTATIONS) == 48
    chosen = list(itertools.product(ORIENTATIONS, range(3)))
    rng = np.random.default_rng(0)
    picked = rng.permutation(len(chosen))[: trials(144)]
    with Segmenter.load(bundle_path, engine="onnxruntime", threads=1) as segmenter:
        expected = [segmenter.segment_array(np.asarray(scan.dataobj), scan.affine).labels for scan in scans]
        for number in picked:
            axes, which = chosen[number]
            image = stored_as(scans[which], axes)
            nib.save(image, tmp_path / "x.nii.gz")
            result = segmenter.segment(tmp_path / "x.nii.gz")
            back = nib.as_closest_canonical(nib.Nifti1Image(result.labels, result.affine))
            assert np.array_equal(np.asarray(back.dataobj), expected[which]), axes
            assert np.allclose(back.affine, scans[which].affine)
            count["identical"] += 1
    assert all(len(np.unique(labels)) == 3 for labels in expected)
