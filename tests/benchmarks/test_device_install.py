"""The logic of the scripts in benchmarks/device_install; the measurements themselves are repeated by hand."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from bedside.runtime import Grid, write_volume

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "device_install"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return import_module


def package(site_packages: Path, name: str, content: bytes) -> None:
    """A package of one file, recorded as pip records it."""
    information = site_packages / f"{name}-1.0.dist-info"
    information.mkdir()
    (site_packages / f"{name}.py").write_bytes(content)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "RECORD").write_text(f"{name}.py,,\n")


def test_install_size_adds_up_recorded_files_and_leaves_pip_out(script, tmp_path):
    for name, length in (("small", 10), ("large", 300), ("pip", 5000)):
        package(tmp_path, name, bytes(length))
    assert list(script("install_size").sizes(tmp_path).items()) == [("large 1.0", 300), ("small 1.0", 10)]


def test_a_missing_extra_has_to_be_said_in_one_line(script):
    expected = script("device_commands").Expected(("export",), (2,), "bedside[train]")
    line = "bedside: error: torch is not installed; run: pip install 'bedside[train]'"
    assert expected.holds(2, line)
    assert not expected.holds(2, f"Traceback\n{line}")
    assert not expected.holds(0, line)
    assert not expected.holds(2, "bedside: error: something else")


@pytest.mark.parametrize(("share", "code"), [("0", 1), ("0.02", 1), ("0.04", 0)])
def test_one_differing_voxel_of_27_counts_against_the_allowed_share(script, tmp_path, monkeypatch, capsys, share, code):
    labels = np.zeros((3, 3, 3), np.uint8)
    for name in ("a", "b"):
        write_volume(tmp_path / f"{name}.nii.gz", labels, Grid((3, 3, 3), np.eye(4)))
        labels[1, 1, 1] = 2
    monkeypatch.setattr("sys.argv", ["same_labels.py", *(str(tmp_path / f"{n}.nii.gz") for n in "ab"), share])
    assert script("same_labels").main() == code
    assert "1 of 27 voxels differ; 1 labels found" in capsys.readouterr().out
