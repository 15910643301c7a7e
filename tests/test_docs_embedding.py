"""docs/embedding.md: its program runs, its types are right, and what it promises of the runtime holds."""

from __future__ import annotations

import ast
import inspect
import logging
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import nibabel as nib
import numpy as np
import pytest
from bedside import runtime
from bedside.runtime import BedsideError, Postprocessing, Segmenter

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
PROGRAM, SETTINGS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def scan(tmp_path):
    hu = np.full((20, 20, 20), -1000, np.int16)
    hu[5:15, 5:15, 5:15] = 0
    nib.save(nib.Nifti1Image(hu, np.diag([3, 3, 3, 1])), tmp_path / "JANE_DOE.nii.gz")
    return tmp_path / "JANE_DOE.nii.gz"


@pytest.fixture
def program(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def run(*words):
        command = [sys.executable, str(tmp_path / "program.py"), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)

    return run


def test_the_program_segments_and_tells(program, bundle_path, scan, tmp_path):
    done = program(bundle_path, scan, tmp_path / "labels.nii.gz")
    assert done.returncode == 0, done.stderr
    assert "fat: 27.0 ml\nbone: 0.0 ml\nread: " in done.stdout
    assert np.asarray(nib.load(tmp_path / "labels.nii.gz").dataobj).sum() == 1000
    assert re.search(r"(\d+) of \1 windows", done.stderr)


def test_the_program_ends_with_the_exit_code_of_the_error(program, bundle_path, tmp_path):
    done = program(bundle_path, tmp_path / "none.nii.gz", tmp_path / "labels.nii.gz")
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def test_the_program_can_be_cancelled(bundle_path, scan, tmp_path):
    names: dict[str, object] = {"__name__": "program"}
    exec(compile(PROGRAM, "docs/embedding.md", "exec"), names)
    stop = threading.Event()
    stop.set()
    assert names["segment"](bundle_path, scan, tmp_path / "labels.nii.gz", stop) == 130
    assert not (tmp_path / "labels.nii.gz").exists()


def test_the_programs_types_are_right(tmp_path):
    """Strict: a name of the runtime without a type would make it fail."""
    (tmp_path / "program.py").write_text("# pyright: strict\n" + PROGRAM, encoding="utf-8")
    (tmp_path / "bedside").symlink_to(ROOT)  # where a type checker finds an installed package
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "program.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stdout


def test_the_settings_of_the_document_are_settings(bundle_path):
    (call,) = [node for node in ast.walk(ast.parse(SETTINGS)) if isinstance(node, ast.Call) and node.keywords][:1]
    settings = eval(compile(ast.Expression(call), "docs/embedding.md", "eval"), {"Postprocessing": Postprocessing})
    settings.check(("background", "liver", "tumour"))
    assert msgspec.structs.asdict(settings).keys() == set(re.findall(r"^- `(\w+)`:", TEXT, re.MULTILINE))


def test_the_table_lists_every_error_with_its_exit_code():
    listed = {name: int(code) for name, code in re.findall(r"^\| `(\w+)` \| (\d+) \|", TEXT, re.MULTILINE)}
    errors = {name: getattr(runtime, name) for name in runtime.__all__}
    raised = {
        name: int(error.exit_code)
        for name, error in errors.items()
        if inspect.isclass(error) and issubclass(error, BedsideError) and error is not BedsideError
    }
    assert listed == raised


@pytest.mark.parametrize("path", sorted((ROOT / "runtime").rglob("*.py")), ids=lambda path: path.name)
def test_the_runtime_prints_nothing(path):
    called = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert not [name.id for name in called if isinstance(name, ast.Name) and name.id == "print"]


def test_without_configuration_nothing_is_shown(bundle_path, scan, capfd):
    with Segmenter.load(bundle_path, "onnxruntime", threads=1) as segmenter:
        segmenter.segment(scan)
    assert capfd.readouterr() == ("", "")


def test_the_log_tells_engine_shape_and_stages_and_no_name(bundle_path, scan, caplog):
    image = nib.load(scan)
    image.header["descrip"] = b"MRS JANE DOE"
    nib.save(image, scan)
    with caplog.at_level(logging.DEBUG, "bedside"), Segmenter.load(bundle_path, "onnxruntime", "fp32", 1) as segmenter:
        segmenter.segment(scan)
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert ("INFO", "onnxruntime fp32 opened for task toy") in told
    assert any(
        level == "INFO" and message.startswith("Grid(20×20×20 voxels, 3×3×3 mm, RAS): ") for level, message in told
    )
    assert any(level == "DEBUG" and message.startswith("milliseconds: read ") for level, message in told)
    assert not re.search(r"jane|\.nii|/tmp", caplog.text, re.IGNORECASE)
