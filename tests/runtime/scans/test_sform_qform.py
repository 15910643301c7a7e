"""sform and qform: a shear that no qform can say is no contradiction, and a form asked for is checked alone."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.scans.nifti import read_volume

SHAPE = (16, 18, 20)


def tilted(degrees: float) -> np.ndarray:
    affine = np.diag([-1.0, 1, 4, 1])
    affine[1:3, 1] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    affine[:3, 3] = 30, -40, 700
    return affine


def in_its_plane(affine: np.ndarray) -> np.ndarray:
    """The rotation that keeps x and y and turns z, as dcm2niix writes it beside a tilted sform."""
    turned = affine.copy()
    x, y, z = affine[:3, :3].T
    normal = np.cross(x, y) / np.linalg.norm(np.cross(x, y))
    turned[:3, 2] = normal * np.linalg.norm(z) * np.sign(normal @ z)
    return turned


def saved(folder, sform, qform=None, **fields):
    """A file with both forms (nibabel puts the closest rotation into the qform), then fields as given."""
    image = nib.Nifti1Image(np.random.default_rng(1).integers(-900, 900, SHAPE).astype(np.int16), sform)
    image.set_sform(sform, code=1)
    image.set_qform(sform if qform is None else qform, code=1)
    nib.save(image, folder / "ct.nii")
    raw = bytearray((folder / "ct.nii").read_bytes())
    header = nib.Nifti1Header(bytes(raw[:348]), check=False)
    for field, value in fields.items():
        header[field] = value
    raw[:348] = header.binaryblock
    (folder / "ct.nii").write_bytes(raw)
    return folder / "ct.nii"


@pytest.mark.parametrize("degrees", [-30, -18.5, 0.2, 5, 30])
@pytest.mark.parametrize("qform", [lambda sform: sform, in_its_plane], ids=["closest", "in its plane"])
def test_a_gantry_tilt_is_read_beside_the_rotation_that_writers_put_there(tmp_path, degrees, qform):
    sform = tilted(degrees)
    grid = read_volume(saved(tmp_path, sform, qform(sform))).grid
    assert grid.affine == pytest.approx(sform, abs=1e-4)
    assert grid.shear_degrees == pytest.approx(abs(degrees), abs=1e-3)


def test_pixdim_may_hold_the_distance_of_a_tilted_scans_planes(tmp_path):
    sform = tilted(20)
    apart = 4 * np.cos(np.radians(20))
    assert read_volume(saved(tmp_path, sform, pixdim=[-1, 1, 1, apart, 0, 0, 0, 0])).grid.shear_degrees > 19
    with pytest.raises(InputError, match="disagree") as caught:
        read_volume(saved(tmp_path, sform, pixdim=[-1, 1, 1, 3.4, 0, 0, 0, 0]))
    assert "--use-qform" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        np.diag([-1.0, 1, 1, 1]),
        np.array([[1.0, 0, 0, 9], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
        np.array([[0, -1.0, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
        np.diag([1.0, -1, -1, 1]),
    ],
    ids=["mirrored", "moved", "turned", "upside down"],
)
def test_a_qform_that_contradicts_a_tilt_is_named_and_only_the_sform_is_offered(tmp_path, change):
    path = saved(tmp_path, tilted(20), change @ in_its_plane(tilted(20)))
    with pytest.raises(InputError, match=r"sheared by 20° \(gantry tilt\)") as caught:
        read_volume(path)
    assert "--use-sform" in str(caught.value)
    assert "--use-qform" not in str(caught.value)
    assert read_volume(path, prefer="sform").grid.affine == pytest.approx(tilted(20), abs=1e-4)


def test_a_qform_is_refused_beside_a_tilt_even_where_it_is_asked_for(tmp_path):
    path = saved(tmp_path, tilted(20))
    with pytest.raises(InputError, match=r"sheared by 20° \(gantry tilt\), which no qform can express"):
        read_volume(path, prefer="qform")


def test_a_rotation_as_large_as_a_shear_elsewhere_is_still_a_contradiction(tmp_path):
    """Beside a straight sform nothing excuses a qform."""
    turned = np.eye(4)
    turned[1:3, 1:3] = [[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]]
    path = saved(tmp_path, tilted(0), turned @ tilted(0))
    with pytest.raises(InputError, match="choose one") as refused:
        read_volume(path)
    assert [(each.parameter, each.value) for each in refused.value.choices] == [
        ("prefer", "sform"),
        ("prefer", "qform"),
    ]
    for each in refused.value.choices:
        assert read_volume(path, prefer=each.value).data.shape == SHAPE


@pytest.mark.parametrize(
    "fields",
    [
        {"pixdim": [1, 0, 0, 0, 0, 0, 0, 0]},
        {"pixdim": [-1, np.nan, -1, 1, 0, 0, 0, 0]},
        {"pixdim": [np.inf] * 8},
        {"quatern_b": 5},
        {"qform_code": -1},
        {"qform_code": 77},
    ],
    ids=str,
)
def test_an_sform_that_is_asked_for_is_believed_whatever_else_the_header_says(tmp_path, fields):
    path = saved(tmp_path, tilted(0), **fields)
    assert read_volume(path, prefer="sform").grid.affine == pytest.approx(tilted(0), abs=1e-4)
    with pytest.raises(InputError) as caught:
        read_volume(path)
    assert "--use-sform" in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"srow_x": [0, 0, 0, 0]},
        {"srow_y": [np.nan, 0, 0, 0]},
        {"srow_z": [0, 0, 1e9, 0]},
        {"sform_code": -1},
        {"sform_code": 77},
    ],
    ids=str,
)
def test_a_qform_that_is_asked_for_is_believed_whatever_the_sform_says(tmp_path, fields):
    path = saved(tmp_path, tilted(0), **fields)
    assert read_volume(path, prefer="qform").grid.affine == pytest.approx(tilted(0), abs=1e-3)
    with pytest.raises(InputError):
        read_volume(path)


def test_a_qform_needs_its_pixdim(tmp_path):
    path = saved(tmp_path, tilted(0), pixdim=[1, 0, 1, 4, 0, 0, 0, 0])
    with pytest.raises(InputError, match=r"pixdim .*use the sform \(--use-sform\) or correct the header"):
        read_volume(path, prefer="qform")
    path = saved(tmp_path, tilted(0), pixdim=[1, 0, 1, 4, 0, 0, 0, 0], sform_code=0)
    with pytest.raises(InputError, match=r"pixdim .*correct the header") as caught:
        read_volume(path)
    assert "--use-sform" not in str(caught.value)
