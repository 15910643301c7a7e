"""The fp32 model of a student with instance norms: when they sum in parts, the same bytes, and what runs how often."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import pytest
import torch
from bedside.export import ExportCases, ExportOptions, TrainedStudent, export_bundle, reference
from bedside.export.exact_model import write_exact
from bedside.export.model_files import FORMS, offered_variants, write_model
from bedside.export.onnx_graphs.norms_in_parts import norms_in_parts
from bedside.export.onnx_graphs.onnx_export import student_to_onnx
from bedside.export.reference import Reference
from bedside.runtime.engines import supports

NORM_BYTES = 3072  # that sums in parts add to a file for each norm, at most, as `norms_in_parts` says


def normalising_student(norm: torch.nn.Module) -> torch.nn.Module:
    """Returns a network of three classes with a norm of four channels."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv3d(1, 4, 3, padding=1), norm, torch.nn.Conv3d(4, 3, 1)).eval()


def norms(model: onnx.ModelProto) -> int:
    return sum(node.op_type == "InstanceNormalization" for node in model.graph.node)


def size(model: onnx.ModelProto) -> int:
    return len(model.SerializeToString(deterministic=True))


def test_a_student_with_norms_in_parts_is_exported_to_the_same_bytes_each_time(toy_task, toy_case, tmp_path):
    """Most of a patch of 48³ voxels around the toy's block is air."""
    network = normalising_student(torch.nn.InstanceNorm3d(4, affine=True))
    student = TrainedStudent(model=network, task=toy_task.replaced(patch=(48, 48, 48)), student="toy")
    remarks: list[str] = []

    def files(name: str) -> dict[str, bytes]:
        options = ExportOptions(precisions=["fp32"], cases=ExportCases(calibration=[toy_case[0]]), threads=1)
        out = export_bundle(student, tmp_path / name, options, lambda *step: remarks.append(step[2]))
        return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.*") if is_model(path)}

    first, second = files("first"), files("second")
    assert {"model.fp32.onnx", "openvino/model.fp32.xml", "golden_output.npy"} <= first.keys()
    assert first == second
    assert sum("norms summed in parts" in remark for remark in remarks) == 2


def is_model(path: Path) -> bool:
    return path.suffix in (".onnx", ".xml", ".bin", ".npy")


@pytest.mark.parametrize("norm", [torch.nn.InstanceNorm3d(4), torch.nn.GroupNorm(2, 4)], ids=["instance", "group"])
def test_sums_in_parts_add_less_than_three_kilobytes_for_each_norm(norm):
    model = student_to_onnx(normalising_student(norm), (16, 16, 16))
    mended = norms_in_parts(model)
    assert (norms(model), norms(mended)) == (1, 0)
    assert size(model) < size(mended) < size(model) + NORM_BYTES


@pytest.mark.parametrize(("sharpness", "in_parts"), [(0.01, False), (1, True)])
def test_fp32_sums_norms_in_parts_only_where_an_engine_misses_the_student(
    toy_task, toy_case, tmp_path, sharpness, in_parts
):
    """Most of a patch of 48³ around the toy's block is air; sharper logits show more of what the engines' norms miss.

    Much sharper ones would hide it: their probabilities are 0 or 1.
    """
    student = normalising_student(torch.nn.InstanceNorm3d(4))
    with torch.no_grad():
        student[2].weight.mul_(sharpness)
    task = toy_task.replaced(patch=(48, 48, 48))
    compared = Reference.from_student(student, task, ExportCases(calibration=[toy_case[0]]))
    written: list[onnx.ModelProto] = []
    remarks: list[str] = []

    def write(model: onnx.ModelProto) -> None:
        written.append(model)
        write_model(tmp_path, "fp32", FORMS, model)

    variants = [each for each in offered_variants(["fp32"]) if each.precision == "fp32"]
    exported = student_to_onnx(student, task.patch.dhw)
    write_exact(exported, write, compared, variants, tmp_path, 1, remarks.append)
    assert [norms(model) for model in written] == [1, 0][: 1 + in_parts]
    assert norms(onnx.load(tmp_path / "model.fp32.onnx")) == 1 - in_parts
    assert len(remarks) == in_parts


class Counted(torch.nn.Module):
    """Counts how often a network is computed; a trace, whose tensors have no values, is not counted."""

    def __init__(self, network: torch.nn.Module, counts: Counter[str]) -> None:
        super().__init__()
        self.network = network
        self._counts = counts

    def __deepcopy__(self, memo: object) -> Counted:
        return Counted(self.network, self._counts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self._counts["torch"] += type(x) is torch.Tensor
        return self.network(x)


def test_network_and_engines_run_once_for_each_patch_of_the_comparison(toy_task, tmp_path, monkeypatch):
    """Two patches of noise and the golden one; engines are compared before it is known how norms have to be summed."""
    counts, opened = Counter[str](), Counter[str]()
    real = reference.open_engine

    def counting(name, model, **options):
        engine = real(name, model, **options)
        variant, infer = f"{name} {options['precision']}", engine.infer
        opened[variant] += 1

        def counted(patches):
            counts[variant] += 1
            return infer(patches)

        monkeypatch.setattr(engine, "infer", counted)
        return engine

    monkeypatch.setattr(reference, "open_engine", counting)
    network = Counted(normalising_student(torch.nn.InstanceNorm3d(4)), counts)
    student = TrainedStudent(model=network, task=toy_task.replaced(patch=(16, 16, 16)), student="toy")
    export_bundle(student, tmp_path / "toy.bedside", ExportOptions(precisions=["fp32"], threads=1))
    variants = ["onnxruntime fp32", "openvino fp32", *["openvino bf16"] * supports("openvino", "bf16")]
    assert counts == dict.fromkeys(["torch", *variants], 3)
    assert opened == dict.fromkeys(variants, 1)
