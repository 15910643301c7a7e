from dataclasses import dataclass

import msgspec
import numpy as np
import pytest
import torch
from bedside.export import ExportCases, ExportOptions, reference
from bedside.export.gate import borders
from bedside.export.gate.verdict import judge
from bedside.export.onnx_models import OnnxModels
from bedside.export.reference import PatchComparison, Reference
from bedside.runtime import BundleError, Grid, UsageError, write_volume
from bedside.runtime.bundles.figures import Parity
from bedside.runtime.bundles.variant import Variant
from bedside.runtime.engines import CPU
from bedside.runtime.labels.probabilities import softmax


@dataclass
class Scaled:
    """An engine that returns the student's logits times a factor."""

    network: torch.nn.Module
    factor: float
    name: str = "onnxruntime"
    precision: str = "int8"
    device: str = CPU

    def infer(self, patches):
        with torch.no_grad():
            return self.factor * self.network(torch.from_numpy(patches)).numpy()

    def close(self):
        pass


class Infinite(Scaled):
    """An engine that returns infinity."""

    def infer(self, patches):
        return np.full_like(super().infer(patches), np.inf)


def test_the_students_answer_to_noise_stands_in_where_there_are_no_scans(toy_student, toy_task):
    made = Reference.from_student(toy_student, toy_task, ExportCases())
    assert len(made.patches) == len(made.probabilities) == 2
    with torch.no_grad():
        expected = softmax(toy_student(torch.from_numpy(made.patches[0].image)).numpy()[0])
    assert made.probabilities[0] == pytest.approx(expected, abs=1e-4)
    assert made.patches[0].truth is None


def test_patches_come_from_the_gate_cases_and_have_their_labels(toy_student, toy_task, toy_case):
    made = Reference.from_student(toy_student, toy_task, ExportCases(calibration=["none.nii"], gate=[toy_case]))
    assert len(made.patches) == 8
    agreement = [
        (each.argmax(0) == patch.truth).mean() for patch, each in zip(made.patches, made.probabilities, strict=True)
    ]
    assert agreement == [1.0] * 8


@pytest.mark.parametrize("number", [2, 9, 20])
def test_without_gate_cases_no_patch_of_the_comparison_calibrates_int8(toy_student, toy_task, tmp_path, number):
    """The scans are no larger than a window, so that each has a single patch."""
    rng, scans = np.random.default_rng(0), [tmp_path / f"{each}.nii" for each in range(number)]
    for scan in scans:
        write_volume(
            scan, rng.normal(40, 200, (14, 11, 8)).astype(np.float32), Grid((14, 11, 8), np.diag([3, 3, 3, 1]))
        )
    cases, options = ExportCases(calibration=scans), ExportOptions(precisions=["fp32"])
    made = Reference.from_student(toy_student, toy_task, cases)
    calibrating = OnnxModels(made, cases, options, print)._patches
    assert (len(made.patches), len(calibrating)) == (8, 16)
    assert not {patch.image.tobytes() for patch in made.patches} & {patch.tobytes() for patch in calibrating}


@pytest.mark.parametrize(("factor", "passed"), [(1.0, True), (0.3, False)])
def test_a_variant_that_keeps_every_label_and_loses_its_confidence_fails(
    toy_student, toy_task, toy_case, tmp_path, monkeypatch, factor, passed
):
    with torch.no_grad():
        toy_student[0].weight.div_(8)  # as unsure as trained students are
        toy_student[0].bias.div_(8)
    made = Reference.from_student(toy_student, toy_task, ExportCases(gate=[toy_case]))
    monkeypatch.setattr(reference, "open_engine", lambda *_, **__: Scaled(made.network, factor))
    variant = Variant(precision="int8", engine="onnxruntime", file="model.onnx")
    (judged,) = judge([made.measure(variant, tmp_path, threads=1)])
    assert judged.parity.label_agreement == judged.golden_agreement == 1.0
    assert judged.passed is passed
    assert ("shift of confidence" in judged.gate_reason) is not passed
    assert set(judged.borders) == {"fat", "bone"}


@pytest.mark.parametrize(("voxels", "exported"), [(0, True), (1, False)])
def test_fp32_must_give_the_golden_patch_the_students_labels(
    toy_student, toy_task, tmp_path, monkeypatch, voxels, exported
):
    made = Reference.from_student(toy_student, toy_task, ExportCases())
    made.golden.logits[0, 2, 0, 0, :voxels] = 1000.0  # the student had called it bone; one of 1,536 is above 0.01 %
    monkeypatch.setattr(reference, "open_engine", lambda *_, **__: Scaled(made.network, 1.0, precision="fp32"))
    variant = Variant(precision="fp32", engine="onnxruntime", file="model.onnx")
    if exported:
        assert made.measure(variant, tmp_path, threads=1).golden_agreement == 1.0
    else:
        with pytest.raises(BundleError, match=r"0\.99935 of the golden patch's labels agree .*; not exported"):
            made.measure(variant, tmp_path, threads=1)


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_a_variant_that_returns_infinity_has_failed_and_has_no_figures(
    toy_student, toy_task, tmp_path, monkeypatch, precision
):
    made = Reference.from_student(toy_student, toy_task, ExportCases())
    engine = Infinite(made.network, 1.0, precision=precision)
    monkeypatch.setattr(reference, "open_engine", lambda *_, **__: engine)
    variant = Variant(precision=precision, engine="onnxruntime", file="model.onnx")
    measured = made.measure(variant, tmp_path, threads=1)
    assert (measured.passed, measured.parity, measured.golden_agreement) == (False, None, None)
    assert measured.gate_reason == f"the output of onnxruntime {precision} holds NaN or infinity"


class Overflowing(torch.nn.Module):
    """A network whose activation is beyond float16's 65,504 in bright voxels alone, and is taken back there."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, image):
        return self.network(torch.log(torch.exp(13 * image)) / 13)


def test_fp16_that_overflows_in_one_patch_has_failed_whichever_it_is(
    toy_student, toy_task, toy_case, tmp_path, monkeypatch
):
    made = Reference.from_student(Overflowing(toy_student), toy_task, ExportCases(gate=[toy_case]))
    for number, patch in enumerate(made.patches):
        patch.image[:] = 0.1 if number < len(made.patches) - 1 else 0.9  # e^11.7 = 120,000
    monkeypatch.setattr(reference, "open_engine", lambda *_, **__: Scaled(made.network, 1.0, precision="fp16"))
    measured = made.measure(Variant(precision="fp16", engine="onnxruntime", file="m.onnx"), tmp_path, threads=1)
    assert (measured.passed, measured.gate_reason) == (False, "the output of torch fp16 holds NaN or infinity")


def test_fp16_gets_the_worse_of_each_figure_and_every_organ_of_the_patches(
    toy_student, toy_task, toy_case, tmp_path, monkeypatch
):
    """The model loses its confidence, the rounded student hardly differs: the model's figures count."""
    with torch.no_grad():
        toy_student[0].weight.div_(8)
        toy_student[0].bias.div_(8)
    made = Reference.from_student(toy_student, toy_task, ExportCases(gate=[toy_case]))
    monkeypatch.setattr(reference, "open_engine", lambda *_, **__: Scaled(made.network, 0.3, precision="fp16"))
    measured = made.measure(Variant(precision="fp16", engine="onnxruntime", file="m.onnx"), tmp_path, threads=1)
    assert measured.parity.patches == 8
    assert set(measured.borders) == {"fat", "bone"}
    rounded = PatchComparison(
        Parity(max_abs_probability=0.9, mean_abs_probability=0, label_agreement=0.9, patches=8),
        {
            organ: msgspec.structs.replace(each, difference=0.0, confidence_shift=0.9)
            for organ, each in measured.borders.items()
        },
    )
    worse = PatchComparison(measured.parity, measured.borders).worse(rounded)
    assert (worse.parity.max_abs_probability, worse.parity.label_agreement) == (0.9, 0.9)
    assert worse.parity.mean_abs_probability == measured.parity.mean_abs_probability > 0
    assert worse.borders["bone"].confidence_shift == 0.9
    assert worse.borders["bone"].difference == measured.borders["bone"].difference > 0


def test_fp32_that_returns_infinity_is_an_error(toy_student, toy_task, tmp_path, monkeypatch):
    made = Reference.from_student(toy_student, toy_task, ExportCases())
    engine = Infinite(made.network, 1.0, precision="fp32")
    monkeypatch.setattr(reference, "open_engine", lambda *_, **__: engine)
    with pytest.raises(BundleError, match="the output of onnxruntime fp32 holds NaN or infinity"):
        made.measure(Variant(precision="fp32", engine="onnxruntime", file="model.onnx"), tmp_path, threads=1)


def test_the_student_is_copied_and_left_as_it_was(toy_student, toy_task):
    toy_student.double().train()
    made = Reference.from_student(toy_student, toy_task, ExportCases())
    assert (toy_student.training, toy_student[0].weight.dtype) == (True, torch.float64)
    assert (made.network.training, made.network[0].weight.dtype) == (False, torch.float32)


def test_a_student_of_another_number_of_classes_is_refused(toy_task):
    with pytest.raises(UsageError, match=r"the student returns \(1, 5, .* the task wants \(1, 3, "):
        Reference.from_student(torch.nn.Conv3d(1, 5, 1), toy_task, ExportCases())


def test_a_file_is_run_once_for_each_engine_and_precision_and_again_once_it_changed(
    toy_student, toy_task, tmp_path, monkeypatch
):
    made = Reference.from_student(toy_student, toy_task, ExportCases())
    opened: list[tuple[str, str]] = []

    def open_engine(name, file, *, threads, precision):
        opened.append((file.read_text(), precision))
        return Scaled(made.network, 1.0, name, precision)

    monkeypatch.setattr(reference, "open_engine", open_engine)
    file = tmp_path / "model.onnx"
    for content in ("first", "second"):
        file.write_text(content)
        for precision in ("fp32", "bf16", "fp32"):
            made.measure(Variant(precision=precision, engine="openvino", file=file.name), tmp_path, threads=1)
    assert opened == [("first", "fp32"), ("first", "bf16"), ("second", "fp32"), ("second", "bf16")]


def test_the_weights_beside_an_openvino_ir_are_part_of_the_file(toy_student, toy_task, tmp_path, monkeypatch):
    made = Reference.from_student(toy_student, toy_task, ExportCases())
    opened: list[str] = []
    monkeypatch.setattr(
        reference, "open_engine", lambda name, *_, **__: opened.append(name) or Scaled(made.network, 1.0)
    )
    (tmp_path / "model.xml").write_text("the same")
    for weights in ("first", "second"):
        (tmp_path / "model.bin").write_text(weights)
        made.measure(Variant(precision="int8", engine="openvino", file="model.xml"), tmp_path, threads=1)
    assert opened == ["openvino", "openvino"]


def test_the_borders_are_found_once_for_all_variants(toy_student, toy_task, toy_case, monkeypatch):
    made = Reference.from_student(toy_student, toy_task, ExportCases(gate=[toy_case]))
    found: list[int] = []
    real = borders.border_zone
    monkeypatch.setattr(borders, "border_zone", lambda organ, *rest: found.append(1) or real(organ, *rest))
    first, second = (made.compare_on_patches(Scaled(made.network, factor)) for factor in (1.0, 0.5))
    assert len(found) == sum(len(np.unique(each.argmax(0))) - 1 for each in made.probabilities) > 0
    assert first.borders["bone"].voxels == second.borders["bone"].voxels > 0
    assert first.borders["bone"].difference < second.borders["bone"].difference
