"""A network of one convolution, whose output SciPy computes, as bytes, ONNX file and OpenVINO IR."""

from __future__ import annotations

import numpy as np
import pytest
from bedside.runtime.engines.open_vino import import_openvino
from scipy.ndimage import correlate

PATCH = (6, 7, 8)
_RANDOM = np.random.default_rng(3)
WEIGHT = _RANDOM.normal(size=(4, 1, 3, 3, 3)).astype(np.float32)
BIAS = _RANDOM.normal(size=4).astype(np.float32)


def convolved(patch):
    return np.stack([correlate(patch, kernel[0], mode="constant") + b for kernel, b in zip(WEIGHT, BIAS, strict=True)])


@pytest.fixture(scope="session")
def model(toy):
    return toy.conv_model(WEIGHT, BIAS, PATCH)


@pytest.fixture(scope="session")
def model_file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    path.write_bytes(model)
    return path


@pytest.fixture(scope="session")
def ir_file(model, tmp_path_factory):
    openvino = import_openvino()
    path = tmp_path_factory.mktemp("ir") / "model.xml"
    openvino.save_model(openvino.Core().read_model(model), path, compress_to_fp16=False)
    return path


def without_bf16(monkeypatch):
    """A CPU as OpenVINO describes one that has no bfloat16."""
    core = import_openvino().Core
    monkeypatch.setattr(core, "get_property", lambda self, device, name: ["WINOGRAD", "FP32", "INT8", "BIN"])
