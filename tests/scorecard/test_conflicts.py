"""A header whose two geometries contradict each other is refused, names both, and the person decides."""

import itertools

import nibabel as nib
import numpy as np
import pytest
from bedside.cli.main import run
from bedside.runtime import InputError, read_volume

SPACING = np.array([2.0, 3.0, 4.0])


def turned(degrees):
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.eye(4)
    turn[:2, :2] = [[cosine, -sine], [sine, cosine]]
    return turn


def moved(*millimetres):
    shift = np.eye(4)
    shift[:3, 3] = millimetres
    return shift


# What the qform says besides the sform: left and right swapped, turned, moved, another spacing.
DISAGREEMENTS = {
    **{f"mirrored in {axis}": np.diag([-1 if axis == name else 1 for name in "xyz"] + [1]) for axis in "xyz"},
    **{f"turned by {angle}": turned(angle) for angle in (10, 90, 180)},
    **{f"moved by {shift}": moved(shift, 0, 0) for shift in (1.5, -30)},
    **{f"moved along z by {shift}": moved(0, 0, shift) for shift in (3, 500)},
    "twice the head": moved(0, 0, -200) @ turned(180),
    "mirrored and moved": np.diag([-1, 1, 1, 1]) @ moved(10, 0, 0),
}
STALE_SPACINGS = [(1, 1, 1), (2, 3, 8), (2, 3, 3.5), (4, 3, 2)]
START = [np.diag([*SPACING, 1]), np.diag([-2.0, -3.0, 4.0, 1])]


def save(path, sform, qform=None, pixdim=None):
    image = nib.Nifti1Image(np.random.default_rng(7).integers(-900, 900, (14, 12, 10)).astype(np.int16), sform)
    image.set_sform(sform, code=1)
    image.set_qform(sform if qform is None else qform, code=1)
    if pixdim is not None:
        image.set_qform(None, code=0)
        image.header["pixdim"][1:4] = pixdim
    nib.save(image, path)
    return path


def cases():
    """(name, sform, qform or None, pixdim or None)."""
    for number, sform in enumerate(START):
        for name, change in DISAGREEMENTS.items():
            yield f"{number} {name}", sform, change @ sform, None
        for pixdim in STALE_SPACINGS:
            yield f"{number} pixdim {pixdim}", sform, None, pixdim
    for degrees, millimetres in itertools.product((5, 45), (0, 20)):
        yield f"tilted {degrees} {millimetres}", turned(degrees) @ START[0], moved(millimetres, 0, 0) @ START[0], None
    for factor in (0.9, 1.1, 2, 10):
        yield f"qform times {factor}", START[0], np.diag([factor] * 3 + [1]) @ START[0], None


def test_07_conflicts_are_refused_naming_both_and_the_person_decides(tmp_path, trials, count):
    every = list(cases())
    assert len(every) == 40
    for number in np.random.default_rng(7).permutation(40)[: max(10, trials(40))]:
        name, sform, qform, pixdim = every[number]
        path = save(tmp_path / "x.nii", sform, qform, pixdim)
        with pytest.raises(InputError) as caught:
            read_volume(path)
        assert "sform" in str(caught.value), name
        assert ("pixdim" if pixdim else "qform") in str(caught.value), name
        assert "--use-sform" in str(caught.value), name
        assert np.allclose(read_volume(path, prefer="sform").grid.affine, sform, atol=1e-4), name
        if qform is not None:
            assert np.allclose(read_volume(path, prefer="qform").grid.affine, qform, atol=1e-3), name
        count["refused, then decided"] += 1


@pytest.mark.parametrize(("option", "sign"), [("--use-sform", 1), ("--use-qform", -1)])
def test_07_the_command_line_takes_the_decision(bundle_path, tmp_path, capfd, option, sign):
    scan = save(tmp_path / "x.nii", START[0], np.diag([-1, 1, 1, 1]) @ START[0])
    words = ["segment", str(bundle_path), "-i", str(scan), "-o", str(tmp_path / "y.nii"), "--engine", "onnxruntime"]
    assert run(words) == 3
    assert run([*words, option]) in (0, 6)
    assert nib.load(tmp_path / "y.nii").affine[0, 0] == sign * 2
