"""What is said when segment-anything cannot be imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from bedside.runtime.errors import MissingExtraError, UsageError
from bedside.teacher.sam.modules import explain_import_failure

# What torch 2.x and a torchvision built for another version answer.
MISMATCH = "operator torchvision::nms does not exist"


def test_mismatch_of_torch_and_torchvision_gives_the_pip_command_in_one_line():
    error = explain_import_failure(RuntimeError(MISMATCH))
    assert isinstance(error, UsageError)
    assert "do not match" in str(error)
    assert str(error).endswith("run: pip install --upgrade --force-reinstall torch torchvision")
    assert "\n" not in str(error)


def test_second_import_after_a_mismatch_is_recognised_too():
    message = "partially initialized module 'torchvision' has no attribute 'extension' (most likely a circular import)"
    assert isinstance(explain_import_failure(AttributeError(message)), UsageError)


@pytest.mark.parametrize("package", ["segment_anything", "torchvision"])
def test_missing_package_names_the_extra(package):
    error = explain_import_failure(ModuleNotFoundError(f"No module named '{package}'", name=package))
    assert isinstance(error, MissingExtraError)
    assert "pip install 'bedside[train]'" in str(error)


def test_other_failures_are_not_explained_away():
    assert explain_import_failure(RuntimeError("CUDA driver version is insufficient")) is None


def test_building_a_teacher_beside_a_broken_torchvision_raises_usage_error(tmp_path):
    broken = tmp_path / "torchvision" / "__init__.py"
    broken.parent.mkdir()
    broken.write_text(f"raise RuntimeError({MISMATCH!r})\n")
    code = (
        "from bedside.runtime.errors import UsageError\n"
        "from bedside.teacher import build_teacher\n"
        "try:\n    build_teacher(num_classes=2, sam='vit_nano', patch=32)\n"
        "except UsageError as error:\n    print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "do not match" in run.stdout
