"""A bundle so small that measuring it takes a blink: a 1³ convolution that tells bright from dark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from bedside.runtime.bundle import write_manifest
from bedside.runtime.manifest import Manifest, Provenance, TensorSpec, Variant
from bedside.runtime.task import Intensity, Modality, Task
from onnx import TensorProto, helper, numpy_helper

PATCH = (16, 16, 16)


def bright_or_dark() -> bytes:
    """ONNX: logits (0, x − 0.5) for the normalised intensity x."""
    weight = np.array([0, 1], np.float32).reshape(2, 1, 1, 1, 1)
    bias = np.array([0, -0.5], np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "weight", "bias"], ["logits"])],
        "bright_or_dark",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, *PATCH])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2, *PATCH])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle with an fp32 and an int8 variant (the same network twice), at 12 mm: the synthetic scan is tiny."""
    directory = tmp_path / "tiny.bedside"
    directory.mkdir()
    task = Task(
        name="tiny",
        modality=Modality.CT,
        labels=("background", "bone"),
        spacing=(12.0, 12.0, 12.0),
        intensity=Intensity(clip=(-200.0, 600.0), scale_to=(0.0, 1.0)),
        patch=PATCH,
    )
    for precision in ("fp32", "int8"):
        (directory / f"model.{precision}.onnx").write_bytes(bright_or_dark())
    variants = tuple(
        Variant(precision=precision, engine="onnxruntime", file=f"model.{precision}.onnx")
        for precision in ("fp32", "int8")
    )
    manifest = Manifest(
        task=task,
        variants=variants,
        input=TensorSpec(name="image", shape=("batch", 1, *PATCH)),
        output=TensorSpec(name="logits", shape=("batch", 2, *PATCH)),
        recommended_overlap=0.25,
        overlap_reason="toy",
        provenance=Provenance(code_version="0", created="2026-01-01T00:00:00Z", student="toy"),
        licence="Apache-2.0",
        intended_use="Tests.",
    )
    write_manifest(directory, manifest)
    return directory
