"""What is true of this package's own students, and how an installed package adds one."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import tomli
import torch
from bedside.distill import STUDENTS, build_student
from bedside.distill.students.registry import check_patch
from bedside.runtime.errors import UsageError

from ...fresh_process import run_fresh

torch.set_num_threads(1)

CONTRIBUTING = Path(__file__).parents[3] / "CONTRIBUTING.md"


@pytest.mark.parametrize(("name", "parameters"), [("swinunetr-tiny", 4_078_220), ("swinunetr-small", 15_703_304)])
def test_parameter_count_with_14_classes_is_the_papers(name, parameters):
    model = build_student(name, num_classes=14)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


def test_heads_of_the_edge_swin_unetr_have_12_channels():
    from monai.networks.nets.swin_unetr import WindowAttention

    model = build_student("swinunetr-tiny-edge", num_classes=2)
    attentions = [module for module in model.modules() if isinstance(module, WindowAttention)]
    assert len(attentions) == 8
    assert {attention.dim // attention.num_heads for attention in attentions} == {12}


def test_unknown_student_is_refused_with_the_names_there_are():
    with pytest.raises(UsageError, match="swinunetr-tiny, swinunetr-small"):
        build_student("resnet", num_classes=2)


@pytest.mark.parametrize(
    ("name", "patch"),
    [
        ("swinunetr-tiny", (32, 64, 64)),
        ("unet-nano", (32, 64, 32)),
        ("unet-edge-tiny", (16, 32, 48)),
        ("unet-edge-fullres-small", (40, 56, 40)),
    ],
)
def test_a_student_trains_on_patches_that_it_accepts(name, patch):
    check_patch(name, patch)
    build_student(name, num_classes=2)(torch.zeros(1, 1, *patch)).sum().backward()


@pytest.mark.parametrize(
    ("name", "patch", "rule"),
    [
        ("swinunetr-tiny", (32, 32, 32), "32 voxels, one at least 64"),
        ("swinunetr-tiny", (64, 64, 16), "32 voxels, one at least 64"),
        ("unet-nano", (48, 64, 64), "32 voxels, one at least 64"),
        ("unet-edge-tiny", (16, 16, 16), "16 voxels, one at least 32"),
        ("unet-edge-fullres-base", (40, 60, 40), "8 voxels, one at least 16"),
    ],
)
def test_other_patches_are_refused(name, patch, rule):
    with pytest.raises(UsageError, match=f'student "{name}" needs a patch in multiples of {rule}; got'):
        check_patch(name, patch)


def test_the_student_of_the_contributing_guide_is_one(installed, tmp_path):
    """Installs the example as its two blocks say: a module, and the entry point in `pyproject.toml`."""
    text = CONTRIBUTING.read_text()
    (module,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "StudentSpec" in block)
    (project,) = (block for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if "bedside.students" in block)
    ((student, value),) = tomli.loads(project)["project"]["entry-points"]["bedside.students"].items()
    (tmp_path / f"{value.partition(':')[0]}.py").write_text(module)
    metadata = tmp_path / "example-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: example\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[bedside.students]\n{student} = {value}\n")
    installed(tmp_path)
    assert list(STUDENTS) == [*STUDENTS.own, student]
    patch = STUDENTS.find(student).patch_rule.smallest
    check_patch(student, patch)
    assert build_student(student, num_classes=3)(torch.zeros(1, 1, *patch)).shape == (1, 3, *patch)


def test_importing_the_package_does_not_import_torch():
    code = "import sys, bedside.distill; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


WITHOUT_TORCH = """
import json, sys

sys.modules["torch"] = None
from bedside.distill import STUDENTS, build_student
from bedside.runtime import MissingExtraError

said = []
for call in (lambda name: build_student(name, num_classes=3), lambda name: STUDENTS.find(name).cost(num_classes=3)):
    for name in STUDENTS.own:
        try:
            call(name)
        except MissingExtraError as error:
            said.append(str(error))
print(json.dumps(said))
"""


def test_without_torch_no_student_can_be_built_and_the_error_says_which_extra_brings_it():
    said = run_fresh(WITHOUT_TORCH)
    assert said == ["torch is not installed; run: pip install 'bedside[train]'"] * (2 * len(STUDENTS.own))
