"""Damaged scans are refused, or what is read is what was written."""

import gzip
import math
import struct

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.scans.nifti import read_volume

HEADER = 348
# Bits of the gzip header that carry nothing of the content (date, level, system) and cannot be checked by anybody.
UNCHECKABLE = range(4, 10)


@pytest.fixture(scope="module")
def original():
    data = np.random.default_rng(0).integers(-1000, 1000, (24, 20, 16)).astype(np.int16)
    return nib.Nifti1Image(data, np.diag([0.8, 0.9, 2.5, 1])).to_bytes(), data


def read(path, content):
    path.write_bytes(content)
    return read_volume(path)


def test_01_mutated_headers_are_refused_or_valid(original, tmp_path, trials, count):
    content, _ = original
    rng = np.random.default_rng(1)
    for _ in range(trials(10_000)):
        mutated = bytearray(content)
        start = int(rng.integers(0, HEADER - 8))
        kind = rng.integers(3)
        if kind == 0:
            mutated[start] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            mutated[start : start + 4] = rng.bytes(4)
        else:
            extreme = (math.nan, math.inf, -1e30, 0.0)[int(rng.integers(4))]
            mutated[start // 4 * 4 : start // 4 * 4 + 4] = struct.pack("<f", extreme)
        try:
            volume = read(tmp_path / "x.nii", bytes(mutated))
        except InputError:
            count["refused"] += 1
            continue
        assert np.isfinite(volume.grid.affine).all()
        assert abs(np.linalg.det(volume.grid.affine[:3, :3])) > 0
        assert volume.data.shape == volume.grid.shape
        count["valid"] += 1


def test_02_bit_flips_in_gzip_are_refused(original, tmp_path, trials, count):
    content, data = original
    packed = gzip.compress(content, 1, mtime=0)
    rng = np.random.default_rng(2)
    for _ in range(trials(1_000)):
        place = int(rng.integers(len(packed)))
        flipped = bytearray(packed)
        flipped[place] ^= 1 << int(rng.integers(8))
        try:
            volume = read(tmp_path / "x.nii.gz", bytes(flipped))
        except InputError:
            count["refused"] += 1
            continue
        assert place in UNCHECKABLE, place
        assert np.array_equal(volume.data, data)
        count["read, content unchanged"] += 1


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_03_truncated_files_are_refused(original, tmp_path, trials, count, suffix):
    content, _ = original
    whole = gzip.compress(content, 1, mtime=0) if suffix == ".nii.gz" else content
    rng = np.random.default_rng(3)
    for _ in range(trials(1_000)):
        with pytest.raises(InputError):
            read(tmp_path / f"x{suffix}", whole[: int(rng.integers(len(whole)))])
        count["refused"] += 1
