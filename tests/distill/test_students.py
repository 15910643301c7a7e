"""One conformance suite for all students, and what is true of this package's own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import tomli
import torch
from bedside.distill import STUDENTS, build_student
from bedside.distill.students import check_patch
from bedside.runtime.errors import UsageError

torch.set_num_threads(1)

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"


@pytest.fixture(params=[*STUDENTS, "tiny"])
def name(request, tiny_networks):
    return request.param


def smallest_patch(name):
    rule = STUDENTS.find(name).patch_rule
    return rule.multiple, rule.multiple, max(rule.multiple, rule.min_longest_edge)


@pytest.mark.parametrize("classes", [2, 120])
def test_every_student_gives_logits_of_the_images_size(name, classes):
    patch = smallest_patch(name)
    with torch.inference_mode():
        assert build_student(name, num_classes=classes)(torch.zeros(1, 1, *patch)).shape == (1, classes, *patch)


def test_gradients_reach_every_parameter(name):
    torch.manual_seed(0)
    model = build_student(name, num_classes=2)
    model(torch.rand(1, 1, *smallest_patch(name))).square().sum().backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        if parameter.ndim > 1:  # a bias before an instance norm has a gradient of 0
            assert parameter.grad.abs().max() > 0, parameter_name


def test_patch_rules_hold_at_the_edges(name):
    rule = STUDENTS.find(name).patch_rule
    d, h, w = smallest_patch(name)
    for patch in ((d, h, w), (w, h, d), (d, h, w + rule.multiple)):
        check_patch(name, patch)
    refused = [(d, h, w + rule.multiple // 2), (d // 2, h, w), (d + 1, h, w)]
    if rule.min_longest_edge > rule.multiple:
        refused.append((d, h, w - rule.multiple))
    for patch in refused:
        with pytest.raises(UsageError, match=f'student "{name}" needs a patch with edges that are multiples of'):
            check_patch(name, patch)


def test_every_student_names_its_source(name):
    assert STUDENTS.find(name).source


@pytest.mark.parametrize(("name", "parameters"), [("swinunetr-tiny", 4_078_220), ("swinunetr-small", 15_703_304)])
def test_parameter_count_with_14_classes_is_the_papers(name, parameters):
    model = build_student(name, num_classes=14)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


def test_unknown_student_is_refused_with_the_names_there_are():
    with pytest.raises(UsageError, match="swinunetr-tiny, swinunetr-small"):
        build_student("resnet", num_classes=2)


@pytest.mark.parametrize(
    ("name", "patch"),
    [
        ("swinunetr-tiny", (64, 64, 64)),
        ("swinunetr-tiny", (32, 64, 64)),
        ("swinunetr-small", (32, 32, 64)),
        ("unet-nano", (32, 64, 32)),
    ],
)
def test_patches_a_student_takes_it_can_be_trained_on(name, patch):
    check_patch(name, patch)
    build_student(name, num_classes=2)(torch.zeros(1, 1, *patch)).sum().backward()


@pytest.mark.parametrize(
    ("name", "patch"),
    [
        ("swinunetr-tiny", (32, 32, 32)),
        ("swinunetr-tiny", (48, 64, 64)),
        ("swinunetr-tiny", (64, 64, 16)),
        ("unet-nano", (32, 32, 32)),
        ("unet-nano", (48, 64, 64)),
    ],
)
def test_patches_a_student_cannot_take_are_refused(name, patch):
    with pytest.raises(UsageError, match="edges that are multiples of 32, one at least 64"):
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
    assert list(STUDENTS) == ["swinunetr-tiny", "swinunetr-small", "unet-nano", student]
    patch = smallest_patch(student)
    check_patch(student, patch)
    assert build_student(student, num_classes=3)(torch.zeros(1, 1, *patch)).shape == (1, 3, *patch)


def test_importing_the_package_does_not_import_torch():
    code = "import sys, bedside.distill; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
