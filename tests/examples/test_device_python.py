"""The device's program in Python: one bundle for several scans, and what it does with each family of errors."""

import importlib.util
import signal
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime import ResourceError, Segmenter

from ..service.running import scan_bytes

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "examples" / "device-python" / "segment.py"


@pytest.fixture
def scan(tmp_path):
    (path := tmp_path / "JANE_DOE.nii").write_bytes(scan_bytes())
    return path


@pytest.fixture
def program():
    """The program as a module, so that a test can take the place of a signal's sender."""
    spec = importlib.util.spec_from_file_location("device_python", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*words):
    command = [sys.executable, str(PROGRAM), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_it_goes_on_after_a_scan_that_is_refused(bundle_path, scan, tmp_path):
    damaged = tmp_path / "damaged.nii"
    damaged.write_bytes(scan.read_bytes()[:1000])
    done = run(bundle_path, tmp_path / "labels", damaged, scan)
    assert done.returncode == 3, done.stderr
    assert "this scan is refused: " in done.stderr
    assert "bone: 0.7 ml" in done.stdout
    assert [path.name for path in (tmp_path / "labels").iterdir()] == ["2.nii.gz"]
    with Segmenter.load(bundle_path, engine="onnxruntime", threads=1) as segmenter:
        expected = segmenter.segment(scan).labels
    assert np.array_equal(np.asarray(nib.load(tmp_path / "labels" / "2.nii.gz").dataobj), expected)


def test_a_result_to_look_at_is_kept_and_named(program, bundle_path, tmp_path, capsys):
    scan = tmp_path / "lung.nii"
    hu = np.full((14, 12, 10), -1000, np.int16)
    hu[4:8, 4:8, 4:8] = -800  # neither fat nor bone: an empty label map
    nib.save(nib.Nifti1Image(hu, np.diag([3.0, 3, 3, 1])), scan)
    assert program.main(bundle_path, tmp_path, [scan]) == 6
    assert "look at it before use: " in capsys.readouterr().err
    assert (tmp_path / "1.nii.gz").is_file()


def test_a_damaged_bundle_ends_it_before_any_scan(bundle_path, scan, tmp_path):
    with (bundle_path / "model.fp32.onnx").open("ab") as file:
        file.write(b"x")
    done = run(bundle_path, tmp_path / "labels", scan)
    assert done.returncode == 4
    assert done.stderr.startswith("segmentation is not available: ")
    assert done.stderr.count("\n") == 1
    assert not list((tmp_path / "labels").iterdir())


def test_a_wrong_call_is_a_fault_of_the_program(program, bundle_path, tmp_path, capsys):
    assert program.main(bundle_path, tmp_path, [5]) == 2
    assert capsys.readouterr().err.startswith("a fault of this program: scan")


def test_a_full_disk_is_no_reason_to_end(program, bundle_path, scan, tmp_path, monkeypatch, capsys):
    saved = []

    def save(result, path):
        saved.append(path.name)
        if len(saved) == 1:
            raise ResourceError("the disk is full")

    monkeypatch.setattr("bedside.runtime.result.Result.save", save)
    assert program.main(bundle_path, tmp_path, [scan, scan]) == 5
    assert saved == ["1.nii.gz", "2.nii.gz"]
    assert "not now: the disk is full" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_the_scan_in_progress(program, bundle_path, scan, tmp_path, monkeypatch, number, code):
    before = signal.signal(number, program.note_signal)
    monkeypatch.setattr(program, "show_progress", lambda done, total: signal.raise_signal(number))
    try:
        assert program.main(bundle_path, tmp_path / "labels", [scan, scan]) == code
    finally:
        signal.signal(number, before)
    assert not (tmp_path / "labels").exists()


def test_its_types_are_right(tmp_path):
    """Strict: a name of the runtime without a type would make it fail."""
    (tmp_path / "program.py").write_text("# pyright: strict\n" + PROGRAM.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "bedside").symlink_to(ROOT)  # where a type checker finds an installed package
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "program.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stdout
