"""The ONNX of labels returns the argmax of the logits, in every precision and engine, and nothing else."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from bedside.export.int8.signed import quantize_signed
from bedside.export.int8.unsigned import quantize_unsigned
from bedside.export.onnx_graphs.half_precision import onnx_to_fp16
from bedside.export.onnx_graphs.label_model import onnx_of_labels
from bedside.export.onnx_graphs.onnx_export import student_to_onnx
from bedside.runtime.engines.open_vino import openvino_core
from bedside.runtime.errors import BundleError
from bedside.runtime.labels.best_class import best_class
from onnx import TensorProto, helper

PATCH = (8, 12, 16)
IMAGE = np.random.default_rng(0).random((2, 1, *PATCH), np.float32)


def student(classes: int) -> onnx.ModelProto:
    torch.manual_seed(0)
    layers = (
        torch.nn.Conv3d(1, 8, 3, padding=1),
        torch.nn.Conv3d(8, 16, 3, padding=1),
        torch.nn.InstanceNorm3d(16),
        torch.nn.Conv3d(16, classes, 1, bias=False),
    )
    return student_to_onnx(torch.nn.Sequential(*layers).eval(), PATCH)


@pytest.fixture(scope="module", params=["fp32", "fp16", "int8", "uint8"])
def model(request) -> onnx.ModelProto:
    single = student(5)
    if request.param == "fp16":
        return onnx_to_fp16(single)
    if request.param == "fp32":
        return single
    return (quantize_signed if request.param == "int8" else quantize_unsigned)(single, [IMAGE[:1]]).model


def test_labels_are_the_argmax_of_the_logits_for_every_batch(model):
    logits = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"image": IMAGE})[0]
    session = onnxruntime.InferenceSession(onnx_of_labels(model).SerializeToString())
    labels = session.run(["labels"], {"image": IMAGE})[0]
    assert labels.dtype == np.uint8
    assert len(np.unique(labels)) > 1
    assert np.array_equal(labels, np.stack([best_class(each) for each in logits]))


def test_openvino_returns_the_argmax_of_its_own_logits(model):
    core = openvino_core()
    logits, labels = (
        core.compile_model(core.read_model(each.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(
            IMAGE
        )[0]
        for each in (model, onnx_of_labels(model))
    )
    assert labels.dtype == np.uint8
    assert (labels == logits.argmax(1)).mean() >= 0.999  # two compilations round differently where classes are equal


def test_tensorrts_builder_takes_the_labels(model):
    rtx = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is for x86-64 alone")
    logger = rtx.Logger(rtx.Logger.ERROR)
    builder = rtx.Builder(logger)
    network = builder.create_network(1 << int(rtx.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parsed = rtx.OnnxParser(network, logger).parse(onnx_of_labels(model).SerializeToString())
    if any(tensor.data_type == TensorProto.UINT8 for tensor in model.graph.initializer):
        assert not parsed  # TensorRT takes no zero point but 0: the model is for ONNX Runtime
    else:
        assert parsed
        assert network.get_output(0).name == "labels"


def test_of_equal_logits_the_lower_class_wins():
    value = helper.make_tensor_value_info
    shape = ["batch", 3, 1, 1, 2]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["image"], ["logits"])],
        "same",
        [value("image", onnx.TensorProto.FLOAT, shape)],
        [value("logits", onnx.TensorProto.FLOAT, shape)],
    )
    opsets = [helper.make_opsetid("", 18)]
    model = onnx_of_labels(helper.make_model(graph, opset_imports=opsets, ir_version=10))
    image = np.array([[[0, 1]], [[0, 2]], [[0, 2]]], np.float32)[None, :, None]
    labels = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"image": image})[0]
    assert labels.ravel().tolist() == [0, 1]


def test_more_than_256_classes_have_labels_of_two_bytes():
    output = onnx_of_labels(student(257)).graph.output
    assert [value.name for value in output] == ["labels"]
    assert output[0].type.tensor_type.elem_type == onnx.TensorProto.UINT16


def test_the_model_given_stays_as_it_is():
    model = student(3)
    before = model.SerializeToString()
    onnx_of_labels(model)
    assert model.SerializeToString() == before


def test_a_model_that_returns_labels_already_is_refused():
    with pytest.raises(BundleError, match="no single output logits"):
        onnx_of_labels(onnx_of_labels(student(3)))
