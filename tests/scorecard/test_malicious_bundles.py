"""A bundle made to do harm ends with exit code 4, in time, and nothing outside it is touched or created."""

import shutil
import tempfile
import time

import nibabel as nib
import numpy as np
import pytest
from bedside.cli.main import run

from .malice_folder import FOLDERS
from .malice_zip import ZIPS

CANARY = "nobody reads or writes this"


def state_of(folder):
    """Everything below a folder: name → content, link or nothing."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else path.is_symlink()
        for path in folder.rglob("*")
    }


@pytest.fixture
def refused(bundle_path, tmp_path, capfd, monkeypatch, count):
    """Makes a bundle malicious, runs the command with it, and checks what must hold of all of them."""
    hu = np.random.default_rng(10).integers(-1000, 1000, (12, 12, 12)).astype(np.int16)
    nib.save(nib.Nifti1Image(hu, np.diag([3, 3, 3, 1])), tmp_path / "ct.nii.gz")

    def check(name, maker, is_zip):
        place = tmp_path / "place"
        bundle, outside = place / "toy.bedside", place / "outside"
        shutil.copytree(bundle_path, bundle)
        outside.mkdir()
        (outside / "canary").write_text(CANARY)
        unpacked = tmp_path / "temporary"
        unpacked.mkdir(exist_ok=True)
        monkeypatch.setattr(tempfile, "tempdir", str(unpacked))
        path = place / "toy.zip" if is_zip else bundle
        maker(bundle, path if is_zip else outside)
        # A link or pipe in a malicious folder is not for this test to follow.
        before = state_of(outside), sorted(place.iterdir())
        engine = "openvino" if "XML" in name or "beyond" in name else "onnxruntime"
        words = ["segment", path, "-i", tmp_path / "ct.nii.gz", "-o", tmp_path / "y.nii.gz", "--engine", engine]
        started = time.monotonic()
        code = run([str(word) for word in words])
        seconds = time.monotonic() - started
        error = capfd.readouterr().err
        assert code == 4, (name, error)
        assert len(error.splitlines()) == 1, (name, error)
        assert error.rstrip("\n").isprintable(), name
        assert CANARY not in error, name
        assert seconds < 10, name
        assert (state_of(outside), sorted(place.iterdir())) == before, name
        assert (outside / "canary").read_text() == CANARY, name
        assert list(unpacked.iterdir()) == [], name
        assert not (tmp_path / "y.nii.gz").exists(), name
        shutil.rmtree(place)
        count["zips refused" if is_zip else "folders refused"] += 1

    return check


def test_10_malicious_bundles_are_refused_and_touch_nothing_outside(refused, trials):
    cases = [
        (name, maker, is_zip) for table, is_zip in ((FOLDERS, False), (ZIPS, True)) for name, maker in table.items()
    ]
    assert len(cases) >= 60
    for number in np.random.default_rng(10).permutation(len(cases))[: max(15, trials(len(cases)))]:
        refused(*cases[number])
