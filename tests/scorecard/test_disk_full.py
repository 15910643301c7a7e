"""On a disk that fills up, a write is refused with exit code 5, leaves nothing behind, and the old file stays."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from bedside.runtime import write_manifest
from bedside.runtime.bundles.manifest import decode_manifest

CHILD = Path(__file__).with_name("child_disk.py")
PAGES = 50  # the smallest of the three takes some more
OWN_MOUNTS = ["unshare", "--map-root-user", "--mount"]


@pytest.fixture
def large_bundle(bundle_path):
    """The toy bundle with 200 KB of weights that nothing reads; one file, so that a limit per file is met too."""
    (bundle_path / "weights.bin").write_bytes(np.random.default_rng(15).bytes(PAGES * 4096 + 8000))
    write_manifest(bundle_path, decode_manifest((bundle_path / "bundle.json").read_bytes()))
    return bundle_path


def ways():
    """A small disk where the system allows a child its own mounts; and everywhere a limit for each file."""
    if shutil.which("unshare") and subprocess.run([*OWN_MOUNTS, "true"], capture_output=True).returncode == 0:
        yield "small disk", OWN_MOUNTS
    yield "small files", []


@pytest.mark.parametrize("kind", ["labels", "bundle", "zip"])
def test_15_a_full_disk_leaves_the_old_file_and_no_temporary(large_bundle, tmp_path, trials, count, kind):
    archive, disk = tmp_path / "toy.zip", tmp_path / "disk"
    disk.mkdir()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(large_bundle.iterdir()):
            packed.write(path, path.name)
    levels = sorted(np.random.default_rng(15).permutation(PAGES)[: trials(50)].tolist())
    for how, prefix in ways():
        done = subprocess.run(
            [*prefix, sys.executable, CHILD, how, kind, disk, large_bundle, archive, *map(str, levels)],
            capture_output=True,
            text=True,
        )
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert [answer["pages"] for answer in answers] == levels, done.stderr
        for answer in answers:
            assert answer["code"] == 5, answer
            assert answer["intact"], answer
            assert not answer["left"], answer
            count[f"exit 5, {how}"] += 1
