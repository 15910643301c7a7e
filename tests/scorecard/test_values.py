"""Scans with strange voxels or strange dimensions: each has its documented exit code, and one line when refused."""

import struct

import nibabel as nib
import numpy as np
import pytest
from bedside.cli.main import run

OK, USAGE, REFUSED, REVIEW = 0, 2, 3, 6
NAN, INF = np.nan, np.inf


def body(shape=(14, 12, 10), dtype=np.int16):
    """Fat with bone in it, in air."""
    hu = np.full(shape, -1000.0)
    inner = tuple(slice(size // 4, max(size // 4 + 1, 3 * size // 4)) for size in shape[:3])
    hu[inner] = 0
    hu[tuple(size // 2 for size in shape[:3])] = 900
    return hu.astype(dtype)


def holding(value, *, everywhere=False, dtype=np.float32):
    hu = body(dtype=dtype)
    hu[... if everywhere else (3, 4, 5)] = value
    return hu


def file_of(data, **fields):
    """A NIfTI of these voxels whose header then says something else."""
    image = nib.Nifti1Image(data, np.diag([3.0, 3.0, 3.0, 1.0]), dtype=data.dtype)
    content = bytearray(image.to_bytes())
    for offset, form, *values in fields.values():
        struct.pack_into(form, content, offset, *values)
    return bytes(content)


def typed(code, bits, size):
    """A file with a voxel type of this code, of the right length."""
    return file_of(np.zeros((4, 4, 4), np.uint8), type=(70, "<hh", code, bits))[:352] + bytes(64 * size)


def dims(*values):
    return file_of(body(), dim=(40, "<8h", *values, *[1] * (8 - len(values))))


REPLACE = ("--replace-nan", "-1000")
CASES = {
    "a plain scan": (file_of(body()), (), OK),
    "one NaN": (file_of(holding(NAN)), (), REFUSED),
    "one NaN in float64": (file_of(holding(NAN, dtype=np.float64)), (), REFUSED),
    "one NaN replaced": (file_of(holding(NAN)), REPLACE, REVIEW),
    "NaN only": (file_of(holding(NAN, everywhere=True)), (), REFUSED),
    "NaN only, replaced: constant": (file_of(holding(NAN, everywhere=True)), REPLACE, REFUSED),
    "NaN replaced by NaN": (file_of(holding(NAN)), ("--replace-nan", "nan"), 2),
    "NaN replaced by infinity": (file_of(holding(NAN)), ("--replace-nan", "inf"), 2),
    "NaN replaced by too much": (file_of(holding(NAN)), ("--replace-nan", "1e300"), 2),
    "one infinity": (file_of(holding(INF)), (), REFUSED),
    "one infinity replaced": (file_of(holding(INF)), REPLACE, REVIEW),
    "minus infinity": (file_of(holding(-INF)), (), REFUSED),
    "minus infinity replaced": (file_of(holding(-INF)), REPLACE, REVIEW),
    "both infinities": (file_of(np.where(body() < 0, -INF, INF).astype(np.float32)), (), REFUSED),
    "beyond float32": (file_of(holding(1e300, dtype=np.float64)), (), REFUSED),
    "beyond float32 replaced": (file_of(holding(1e300, dtype=np.float64)), REPLACE, REVIEW),
    "beyond any scanner": (file_of(holding(1e20)), (), REFUSED),
    "a subnormal": (file_of(holding(1e-40)), (), OK),
    "scaling with a NaN slope": (file_of(body(), scale=(112, "<ff", NAN, 1)), (), REFUSED),
    "scaling with an infinite slope": (file_of(body(), scale=(112, "<ff", INF, 0)), (), REFUSED),
    "scaling that overflows": (file_of(body(), scale=(112, "<ff", 1e38, 0)), (), REFUSED),
    "scaling by a NaN intercept": (file_of(body(), scale=(112, "<ff", 1, NAN)), (), REFUSED),
    "constant zero": (file_of(np.zeros((14, 12, 10), np.int16)), (), REFUSED),
    "constant air": (file_of(np.full((14, 12, 10), -1000, np.int16)), (), REFUSED),
    "constant float": (file_of(np.full((14, 12, 10), 7.5, np.float32)), (), REFUSED),
    "almost constant": (file_of(holding(1.0, everywhere=True) + 0 * body() + 1e-7), (), REFUSED),
    "air and noise": (file_of((-1000 + np.arange(1680).reshape(14, 12, 10) % 3).astype(np.int16)), (), REVIEW),
    "0 to 255, no HU": (file_of(np.arange(1680).reshape(14, 12, 10).astype(np.uint8)), (), REVIEW),
    "values of no CT": (file_of(body().astype(np.int32) * 1000), (), REVIEW),
    "one voxel": (file_of(np.full((1, 1, 1), 5, np.int16)), (), REFUSED),
    "two voxels, thinner than a third of the patch": (file_of(np.array([[[-1000]], [[900]]], np.int16)), (), REVIEW),
    "1 x N x M": (file_of(body((1, 12, 10))), (), REVIEW),
    "N x 1 x M": (file_of(body((14, 1, 10))), (), REVIEW),
    "N x M x 1": (file_of(body((14, 12, 1))), (), REVIEW),
    "a column": (file_of(body((1, 1, 30))), (), REVIEW),
    "4D": (file_of(body((14, 12, 10, 3))), (), REFUSED),
    "4D, the second": (file_of(body((14, 12, 10, 3))), ("--volume", "1"), OK),
    "4D, one too many": (file_of(body((14, 12, 10, 3))), ("--volume", "3"), REFUSED),
    "4D, one too few": (file_of(body((14, 12, 10, 3))), ("--volume=-1",), USAGE),
    "4D of one": (file_of(body((14, 12, 10, 1))), (), OK),
    "3D, the first": (file_of(body()), ("--volume", "0"), OK),
    "3D, the second": (file_of(body()), ("--volume", "1"), REFUSED),
    "5D": (file_of(body((6, 6, 6, 1, 3))), (), REFUSED),
    "5D, the third": (file_of(body((6, 6, 6, 1, 3))), ("--volume", "2"), OK),
    "2D": (dims(2, 14, 120), (), REFUSED),
    "no axes": (dims(0, 14, 12, 10), (), REFUSED),
    "eight axes": (dims(8, 14, 12, 10), (), REFUSED),
    "a zero dimension": (dims(3, 14, 0, 10), (), REFUSED),
    "a negative dimension": (dims(3, 14, -12, 10), (), REFUSED),
    "zero volumes": (dims(4, 14, 12, 10, 0), (), REFUSED),
    "an empty file": (b"", (), REFUSED),
    "a header only": (file_of(body())[:352], (), REFUSED),
    "half a header": (file_of(body())[:200], (), REFUSED),
    "one byte too many": (file_of(body()) + b"\0", (), REFUSED),
    "complex64": (typed(32, 64, 8), (), REFUSED),
    "complex128": (typed(1792, 128, 16), (), REFUSED),
    "RGB": (typed(128, 24, 3), (), REFUSED),
    "RGBA": (typed(2304, 32, 4), (), REFUSED),
    "float128": (typed(1536, 128, 16), (), REFUSED),
    "bits": (typed(1, 1, 1), (), REFUSED),
    "no type": (typed(0, 0, 1), (), REFUSED),
    "an unknown type": (typed(777, 16, 2), (), REFUSED),
    "a type of another width": (typed(4, 32, 4), (), REFUSED),
    "int64": (file_of(body(dtype=np.int64)), (), OK),
    "uint64 beyond float32's integers": (file_of(np.full((4, 4, 4), 2**63, np.uint64)), (), REFUSED),
    "int8": (file_of((body() // 10).astype(np.int8)), (), OK),
}


@pytest.fixture
def segment(bundle_path, tmp_path, capfd):
    """Runs the command on a file's content; returns the exit code and checks what every outcome has in common."""

    def check(content, options):
        (tmp_path / "x.nii").write_bytes(content)
        output = tmp_path / "out" / "y.nii.gz"
        output.parent.mkdir(exist_ok=True)
        output.unlink(missing_ok=True)
        words = ["segment", bundle_path, "-i", tmp_path / "x.nii", "-o", output, "--engine", "onnxruntime", *options]
        code = run([str(word) for word in (*words, "--threads", 1, "-q")])
        lines = capfd.readouterr().err.splitlines()
        if code in (OK, REVIEW):
            assert list(output.parent.iterdir()) == [output]
            assert nib.load(output).get_fdata().max() <= 2
            assert bool(lines) == (code == REVIEW), lines
        else:
            assert list(output.parent.iterdir()) == []
            assert len(lines) == 1, lines
            assert lines[0].startswith("bedside: error: ")
        assert not any("Traceback" in line for line in lines)
        return code

    return check


def test_08_strange_scans_have_their_documented_exit_code(segment, trials, count):
    assert len(CASES) >= 60
    for number in np.random.default_rng(8).permutation(len(CASES))[: max(20, trials(len(CASES)))]:
        name, (content, options, expected) = list(CASES.items())[number]
        assert (name, segment(content, options)) == (name, expected)
        count[f"exit {expected}"] += 1
