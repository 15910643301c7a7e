"""The OpenVINO form is the ONNX, to the bit of its weights, and nobody is told."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from bedside.export.onnx_graphs.onnx_export import student_to_onnx
from bedside.export.openvino_ir import onnx_to_openvino
from bedside.runtime import open_engine
from bedside.runtime.errors import BundleError, MissingExtraError

from ..fresh_process import run_at_home

PATCH = (8, 12, 16)


def test_the_ir_gives_the_onnx_files_logits(toy_student, tmp_path, rng):
    model = tmp_path / "model.onnx"
    model.write_bytes(student_to_onnx(toy_student, PATCH).SerializeToString())
    onnx_to_openvino(model, tmp_path / "openvino" / "model.xml")
    patch = rng.random((2, 1, *PATCH), np.float32)
    expected = open_engine("onnxruntime", model, threads=1).infer(patch)
    logits = open_engine("openvino", tmp_path / "openvino" / "model.xml", threads=1).infer(patch)
    assert np.abs(logits - expected).max() <= 1e-4 * np.ptp(expected)


def test_weights_stay_float32(toy_student, tmp_path):
    model = tmp_path / "model.onnx"
    model.write_bytes(student_to_onnx(toy_student, PATCH).SerializeToString())
    onnx_to_openvino(model, tmp_path / "model.xml")
    weights = toy_student[1].weight.detach().numpy().tobytes()  # 3 × 3 × 27 float32
    assert weights in (tmp_path / "model.bin").read_bytes()


def test_what_is_no_onnx_is_refused(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(BundleError, match=r"OpenVINO cannot read model\.onnx"):
        onnx_to_openvino(tmp_path / "model.onnx", tmp_path / "model.xml")


def test_a_conversion_loads_no_telemetry_and_leaves_no_identifier(toy_student, tmp_path):
    (tmp_path / "model.onnx").write_bytes(student_to_onnx(toy_student, PATCH).SerializeToString())
    home = tmp_path / "home"
    home.mkdir()
    code = (
        "import sys; from pathlib import Path; from bedside.export.openvino_ir import onnx_to_openvino;"
        f"onnx_to_openvino(*(Path({str(tmp_path)!r}) / name for name in ('model.onnx', 'model.xml')));"
        "print([name for name, module in sys.modules.items() if 'openvino_telemetry' in name and module])"
    )
    assert run_at_home(code, home) == "[]"
    assert (tmp_path / "model.xml").exists()
    assert list(home.iterdir()) == []  # OpenVINO's client identifier would lie in ~/intel


def test_without_openvino_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"openvino is not installed; run: pip install 'bedside\[export\]'"):
        onnx_to_openvino(tmp_path / "model.onnx", tmp_path / "model.xml")


def test_the_same_onnx_gives_the_same_bytes(tmp_path):
    """OpenVINO makes several operations of a norm, and would name them by counting all that the process has made."""
    student = torch.nn.Sequential(torch.nn.InstanceNorm3d(1), torch.nn.Conv3d(1, 3, 1)).eval()
    (tmp_path / "model.onnx").write_bytes(student_to_onnx(student, PATCH).SerializeToString())
    for name in ("first", "second"):
        onnx_to_openvino(tmp_path / "model.onnx", tmp_path / f"{name}.xml")
    for suffix in (".xml", ".bin"):
        first, second = ((tmp_path / name).with_suffix(suffix).read_bytes() for name in ("first", "second"))
        assert first == second
