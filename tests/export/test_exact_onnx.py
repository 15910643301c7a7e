"""The fp32 ONNX of a student with instance norms: the same bytes each time, and hardly larger for sums in parts."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from bedside.export import ExportCases, ExportedStudent, ExportOptions, export_bundle
from bedside.export.norms_in_parts import norms_in_parts
from bedside.export.onnx_export import student_to_onnx

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
    student = ExportedStudent(model=network, task=toy_task.replaced(patch=(48, 48, 48)), student="toy")
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
