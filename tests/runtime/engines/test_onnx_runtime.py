"""What is particular to ONNX Runtime."""

from __future__ import annotations

import onnxruntime
import pytest
from bedside.runtime import BundleError, open_engine
from bedside.runtime.engines import PRECISIONS, supports


def test_onnx_runtime_has_no_bfloat16_on_any_cpu():
    assert [each for each in PRECISIONS if supports("onnxruntime", each)] == ["fp32", "fp16", "int8"]


def test_onnx_runtime_takes_no_format_that_the_guard_does_not_know(model, tmp_path, monkeypatch):
    """Its own is recognised by four bytes, and could be hidden in what the guard takes for an ONNX."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.save_model_format", "ORT")
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    content = (tmp_path / "model.ort").read_bytes()
    assert onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).get_inputs()[0].name == "image"
    monkeypatch.setattr("bedside.runtime.engines.onnx_runtime.check_no_external_data", lambda content: None)
    with pytest.raises(BundleError, match="ONNX Runtime refuses the model"):
        open_engine("onnxruntime", content, threads=1)
