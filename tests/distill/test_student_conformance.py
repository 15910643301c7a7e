"""One conformance suite for all students: those of this package, of installed packages, and one of the tests'.

    pytest tests/distill/test_student_conformance.py -k NAME

runs it for one student.
"""

from __future__ import annotations

import platform

import numpy as np
import pytest
import torch
from bedside.distill import STUDENTS, DistillationLoss, build_student
from bedside.distill.students.registry import check_patch
from bedside.export import ExportCases, ExportOptions, TrainedStudent, export_bundle
from bedside.export.model_files import MODEL_PRECISIONS
from bedside.runtime import Bundle, Grid, Task, write_volume
from bedside.runtime.engines import ENGINES
from bedside.runtime.engines.tensorrt.builder import build_plan
from bedside.runtime.errors import UsageError
from bedside.runtime.task import Intensity, Modality
from torch.optim.swa_utils import update_bn

torch.set_num_threads(1)

LABELS = ("background", "liver", "spleen")
BOUNDS = {
    "fp32": 1e-4,
    "fp16": 1e-3,
    "bf16": 0.02,
    "int8": 0.02,
    "uint8": 0.02,
    "int8-fp16": 0.02,
    "int8-bf16": 0.02,
}  # mean difference of probabilities


@pytest.fixture(params=[*STUDENTS, "tiny"])
def name(request, tiny_networks):
    return request.param


def smallest_patch(name):
    return STUDENTS.find(name).patch_rule.smallest


@pytest.mark.parametrize("classes", [2, 120])
def test_logits_have_the_images_size(name, classes):
    patch = smallest_patch(name)
    with torch.inference_mode():
        logits = build_student(name, num_classes=classes).eval()(torch.zeros(1, 1, *patch))
    assert logits.shape == (1, classes, *patch)


def test_a_training_step_has_a_finite_loss_and_a_gradient_for_every_parameter(name):
    torch.manual_seed(0)
    model, shape = build_student(name, num_classes=3), (1, 1, *smallest_patch(name))
    teacher = torch.rand(1, 3, *shape[2:]).softmax(1)
    loss = DistillationLoss(0.5)(model(torch.rand(shape)), teacher, torch.randint(3, shape))
    loss.backward()
    assert loss.isfinite()
    for parameter_name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.isfinite().all(), parameter_name
            if parameter.ndim > 1:  # a bias before an instance norm has a gradient of 0
                assert parameter.grad.abs().max() > 0, parameter_name


def test_patches_are_accepted_and_refused_as_the_rule_says(name):
    rule = STUDENTS.find(name).patch_rule
    d, h, w = rule.smallest
    for patch in ((d, h, w), (w, h, d), (d, h, w + rule.multiple)):
        check_patch(name, patch)
    refused = [(d, h, 0), (d, -h, w)]
    if rule.multiple > 1:
        refused += [(d, h, w + rule.multiple // 2), (d // 2, h, w), (d + 1, h, w)]
    if rule.min_longest_edge > rule.multiple:
        refused.append((d, h, w - rule.multiple))
    for patch in refused:
        with pytest.raises(UsageError):
            check_patch(name, patch)


def test_a_patch_larger_by_one_multiple_along_one_axis_is_computed(name):
    rule = STUDENTS.find(name).patch_rule
    d, h, w = rule.smallest
    patch = (d, h + rule.multiple, w)
    with torch.inference_mode():
        assert build_student(name, num_classes=2).eval()(torch.zeros(1, 1, *patch)).shape == (1, 2, *patch)


def test_its_row_names_the_source_and_states_the_cost(name):
    spec = STUDENTS.find(name)
    cost = spec.cost(num_classes=3)
    assert spec.source
    assert cost.parameters == sum(parameter.numel() for parameter in build_student(name, num_classes=3).parameters())
    assert cost.flops > 0
    voxels = np.prod(smallest_patch(name))
    assert cost.activation_bytes >= 4 * voxels * 3  # the logits alone


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX:DeprecationWarning")
@pytest.mark.parametrize("name", STUDENTS)  # the tests' own has no layer to quantize
def test_every_variant_of_its_bundle_computes_what_the_student_computes(name, tmp_path):
    patch, rng = smallest_patch(name), np.random.default_rng(0)
    scan = rng.normal(0, 300, patch.xyz).astype(np.float32)
    write_volume(tmp_path / "scan.nii.gz", scan, Grid(patch.xyz, np.diag([3.0, 3.0, 3.0, 1.0])))
    task = Task(
        name="conformance",
        modality=Modality.CT,
        labels=LABELS,
        spacing=(3.0, 3.0, 3.0),
        intensity=Intensity(clip=(-1000.0, 1000.0), scale_to=(0.0, 1.0)),
        patch=patch.xyz,
    )
    torch.manual_seed(0)
    model = build_student(name, num_classes=len(LABELS))
    update_bn([torch.rand(2, 1, *patch) for _ in range(3)], model)  # else activations fade from layer to layer
    out = export_bundle(
        TrainedStudent(model=model, task=task, student=name),
        tmp_path / "student.bedside",
        ExportOptions(
            precisions=MODEL_PRECISIONS,
            cases=ExportCases(calibration=[tmp_path / "scan.nii.gz"]),
            patches=2,
            keep_failed=True,  # networks that were not trained
            int8_search=0,  # tests of its own
            threads=1,
        ),
    )
    with Bundle.open(out) as bundle:
        variants = {f"{variant.engine} {variant.precision}": variant.parity for variant in bundle.manifest.all_variants}
    assert variants.keys() >= {
        f"{engine} {kind}" for engine in ("onnxruntime", "openvino") for kind in ("fp32", "int8")
    }
    for variant, parity in variants.items():
        assert parity.mean_abs_probability < BOUNDS[variant.split()[1]], variant
    engines = [variants[f"{engine} int8"].mean_abs_probability for engine in ("onnxruntime", "openvino")]
    assert max(engines) - min(engines) < 0.001  # the same integers, up to rounding
    check_that_tensorrt_builds(out)


def check_that_tensorrt_builds(bundle):
    """Builds the models with NVIDIA's own parser and builder, which need no GPU; only x86-64 has them."""
    try:
        import tensorrt_rtx
    except ImportError:
        assert platform.machine() not in ("x86_64", "AMD64"), "expected tensorrt-rtx here, from the extra dev"
        return
    for precision in ENGINES["tensorrt"].precisions:
        onnx = (bundle / f"model.{precision}.onnx").read_bytes()
        assert build_plan(tensorrt_rtx, onnx, exact=precision == "fp32").plan, precision
