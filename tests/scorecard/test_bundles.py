"""A bundle with one changed bit is refused before any parser sees it."""

import shutil

import numpy as np
import pytest
from bedside.runtime import Bundle, BundleError


def test_09_a_flipped_bit_in_any_file_is_refused(bundle_path, tmp_path, trials, count):
    files = sorted(path.relative_to(bundle_path) for path in bundle_path.rglob("*") if path.is_file())
    rng = np.random.default_rng(9)
    broken = tmp_path / "broken.bedside"
    for number in range(trials(1_000)):
        name = files[number % len(files)]
        shutil.rmtree(broken, ignore_errors=True)
        shutil.copytree(bundle_path, broken)
        content = bytearray((broken / name).read_bytes())
        content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
        (broken / name).write_bytes(content)
        with pytest.raises(BundleError):
            Bundle.open(broken)
        count["refused"] += 1
