"""The rewriting of layers in benchmarks/graph_forms; the measurement itself is repeated by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from bedside.distill import build_student
from bedside.export.onnx_export import student_to_onnx
from bedside.runtime.engines import open_engine

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "graph_forms"


@pytest.fixture
def script(import_script):
    return import_script(SCRIPTS, ("transposed",))("transposed")


def test_without_transposed_convolutions_a_student_computes_the_same(script):
    torch.manual_seed(0)
    model = student_to_onnx(build_student("unet-edge-tiny", num_classes=3), (16, 16, 16))
    rewritten, layers = script.without_transposed(model)
    before, after = ([node.op_type for node in each.graph.node].count("ConvTranspose") for each in (model, rewritten))
    assert layers == before - after > 0
    image = np.random.default_rng(0).standard_normal((1, 1, 16, 16, 16), np.float32)
    engines = [open_engine("onnxruntime", each.SerializeToString()) for each in (model, rewritten)]
    first, second = (engine.infer(image) for engine in engines)
    assert np.abs(first - second).max() < 1e-5
