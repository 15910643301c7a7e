"""One ONNX per precision, each made of the student's fp32 model or of its int8 model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bedside.export import ExportCases, ExportOptions, export_bundle, onnx_models
from bedside.export.int8 import sensitive_layers
from bedside.export.model_files import MODEL_PRECISIONS
from bedside.export.onnx_models import OnnxModels
from bedside.export.reference import Reference
from bedside.runtime import Bundle
from bedside.runtime.engines import supports
from bedside.runtime.engines.tensorrt.builder import build_plan
from onnx import TensorProto, numpy_helper


@pytest.fixture
def cases(toy_case) -> ExportCases:
    return ExportCases(calibration=[toy_case[0]])


@pytest.fixture
def made(toy_student, toy_task, cases):
    """Returns the models of a student, the toy's unless another is given, and the remarks made meanwhile."""

    def of(student=toy_student, **options):
        remarks: list[str] = []
        reference = Reference.from_student(student, toy_task, cases)
        given = ExportOptions(precisions=MODEL_PRECISIONS, cases=cases, patches=2, threads=1, **options)
        return OnnxModels(reference, cases, given, remarks.append), remarks

    return of


def types(model) -> set[int]:
    return {tensor.data_type for tensor in model.graph.initializer}


def test_each_precision_has_its_types_and_the_student_is_exported_once(made, monkeypatch):
    exports = []
    real = onnx_models.student_to_onnx
    monkeypatch.setattr(onnx_models, "student_to_onnx", lambda *given: exports.append(given) or real(*given))
    models, _ = made()
    single, half, byte = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8
    found = {precision: types(models.model(precision)) for precision in MODEL_PRECISIONS}
    assert found == {
        "fp32": {single},
        "fp16": {half},
        "int8": {single, byte},
        "uint8": {single, byte, TensorProto.UINT8},
        "int8-fp16": {half, byte},
    }
    assert len(exports) == 1


def test_int8_with_room_has_no_sensitive_layers(made):
    models, remarks = made()
    models.model("int8")
    assert (models.sensitive_layers, remarks) == ((), [])


def test_a_layer_that_int8_costs_too_much_is_named_and_has_its_own_weights(made, monkeypatch):
    """Of two like layers: one has to stay."""
    monkeypatch.setattr(sensitive_layers, "ENOUGH", 0.0)
    monkeypatch.setattr(onnx_models, "BoundsUsed", lambda *_: lambda quantized: len(quantized.layers))
    torch.manual_seed(0)
    widths = zip((1, 8, 8), (8, 8, 3), strict=True)
    student = torch.nn.Sequential(*(torch.nn.Conv3d(before, after, 3, padding=1) for before, after in widths))
    models, _ = made(student)
    found = [(layer.precision, layer.name, layer.price) for layer in models.sensitive_layers]
    assert found == [("int8", "1", 1), ("uint8", "1", 1)]
    for precision in ("int8", "uint8"):
        tensors = models.model(precision).graph.initializer
        weights = [numpy_helper.to_array(tensor) for tensor in tensors if list(tensor.dims)[0:1] == [8]]
        assert any(np.array_equal(weight, student[1].weight.detach()) for weight in weights)


def test_without_int8_nothing_is_quantized(toy_student, toy_task, cases):
    reference = Reference.from_student(toy_student, toy_task, cases)
    options = ExportOptions(precisions=["fp32"])
    assert OnnxModels(reference, cases, options, lambda _: None).sensitive_layers == ()


def test_a_bundle_may_have_int8_fp16_without_int8(toy_trained, cases, tmp_path):
    options = ExportOptions(precisions=["int8-fp16"], cases=cases, patches=2, threads=1)
    with Bundle.open(export_bundle(toy_trained, tmp_path / "toy.bedside", options)) as opened:
        of = {variant.name: variant for variant in opened.manifest.variants}
        assert opened.variant("tensorrt", "int8-fp16").file == "model.int8-fp16.onnx"
    bf16 = {"openvino bf16"} if supports("openvino", "bf16") else set()
    assert set(of) == {"onnxruntime fp32", "openvino fp32", "onnxruntime int8-fp16"} | bf16
    assert of["onnxruntime int8-fp16"].passed


@pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX:DeprecationWarning")
@pytest.mark.parametrize(("precision", "computed"), [("int8", "FLOAT"), ("int8-fp16", "HALF")])
def test_tensorrt_computes_convolutions_of_int8_fp16_in_float16_or_int8(made, precision, computed):
    """NVIDIA's parser types each layer; int8 kernels are those whose inputs it dequantizes, in either type."""
    rtx = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is for x86-64 alone")
    content = made()[0].model(precision).SerializeToString()
    log = rtx.Logger(rtx.Logger.ERROR)
    network = rtx.Builder(log).create_network(1 << int(rtx.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = rtx.OnnxParser(network, log)
    assert parser.parse(content)
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    assert sum(layer.type == rtx.LayerType.QUANTIZE for layer in layers) >= 1
    types = {layer.get_output(0).dtype for layer in layers if layer.type == rtx.LayerType.CONVOLUTION}
    assert types == {getattr(rtx.DataType, computed)}
    assert build_plan(rtx, content, exact=False).plan
