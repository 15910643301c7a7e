"""float16: what becomes of an ONNX, what stays in float32, and what rounding does to the student."""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from bedside.export.int8.signed import quantize_signed
from bedside.export.onnx_graphs.half_precision import RoundedStudent, onnx_to_fp16
from bedside.export.onnx_graphs.onnx_export import student_to_onnx
from bedside.runtime import MissingExtraError
from onnx import TensorProto, numpy_helper

PATCH = (8, 8, 8)


def upsampling_student() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv3d(1, 8, 3, stride=2, padding=1),
        torch.nn.InstanceNorm3d(8, affine=True),
        torch.nn.ReLU(),
        torch.nn.Conv3d(8, 3, 1),
        torch.nn.Upsample(scale_factor=2, mode="trilinear"),
    ).eval()


@pytest.fixture(scope="module")
def single() -> onnx.ModelProto:
    return student_to_onnx(upsampling_student(), PATCH)


@pytest.fixture(scope="module")
def half(single) -> onnx.ModelProto:
    return onnx_to_fp16(single)


def types_into(model: onnx.ModelProto, operator: str) -> set[int]:
    known = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    known |= {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    known |= {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    return {
        known[name] for node in model.graph.node if node.op_type == operator for name in node.input if name in known
    }


def test_input_and_output_stay_float32_also_behind_a_layer_that_does(half):
    ends = [*half.graph.input, *half.graph.output]
    assert [(end.name, end.type.tensor_type.elem_type) for end in ends] == [
        ("image", TensorProto.FLOAT),
        ("logits", TensorProto.FLOAT),
    ]


def test_weights_that_float16_holds_keep_their_value():
    student = upsampling_student()
    with torch.no_grad():
        student[3].weight[:, 0, 0, 0, 0] = torch.tensor([60_000.0, -20_000.0, 6e-8])
    model = onnx_to_fp16(student_to_onnx(student, PATCH))
    weights = np.concatenate([numpy_helper.to_array(tensor).ravel() for tensor in model.graph.initializer])
    assert np.isin(np.float16([60_000, -20_000, 6e-8]), weights.astype(np.float16)).all()


def test_convolutions_are_float16_and_norms_float32(half):
    assert types_into(half, "Conv") == {TensorProto.FLOAT16}
    assert types_into(half, "InstanceNormalization") == {TensorProto.FLOAT}


def test_the_weights_are_rounded_to_nearest(single, half):
    (weight,) = (tensor for tensor in single.graph.initializer if list(tensor.dims) == [8, 1, 3, 3, 3])
    (rounded,) = (tensor for tensor in half.graph.initializer if tensor.name == weight.name)
    expected = numpy_helper.to_array(weight).astype(np.float16)
    assert np.array_equal(numpy_helper.to_array(rounded), expected)


def test_the_model_given_is_not_changed_and_the_bytes_repeat(single):
    before = single.SerializeToString(deterministic=True)
    twice = [onnx_to_fp16(single).SerializeToString(deterministic=True) for _ in range(2)]
    assert single.SerializeToString(deterministic=True) == before
    assert twice[0] == twice[1]


def test_no_operator_is_lost_and_only_casts_are_added(single, half):
    counts = [Counter(node.op_type for node in model.graph.node) for model in (single, half)]
    added = counts[1] - counts[0]
    assert not counts[0] - counts[1]
    assert set(added) == {"Cast"}


def test_the_converted_model_computes_nearly_the_same(single, half):
    patch = np.random.default_rng(0).random((1, 1, *PATCH), np.float32)
    results = [
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(
            None, {"image": patch}
        )[0]
        for model in (single, half)
    ]
    assert 0 < np.abs(results[0] - results[1]).max() < 5e-3


def test_without_the_converter_the_extra_is_named(single, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxconverter_common", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'bedside\[export\]'"):
        onnx_to_fp16(single)


class TestInt8:
    """Of an int8 model, the layers without Q/DQ pairs become float16."""

    @pytest.fixture(scope="class")
    def patch(self) -> np.ndarray:
        return np.random.default_rng(0).random((1, 1, *PATCH), np.float32)

    @pytest.fixture(scope="class")
    def pair(self, patch) -> tuple[onnx.ModelProto, onnx.ModelProto]:
        """A student whose second of three convolutions is in int8, and the same with the others in float16."""
        torch.manual_seed(0)
        layers = [torch.nn.Conv3d(1, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv3d(8, 8, 3, padding=1)]
        student = torch.nn.Sequential(*layers, torch.nn.ReLU(), torch.nn.Conv3d(8, 3, 1))
        int8 = quantize_signed(student_to_onnx(student, PATCH), [patch]).model
        return int8, onnx_to_fp16(int8)

    def test_no_layer_and_no_scale_is_left_in_float32(self, pair):
        _, half = pair
        assert types_into(half, "Conv") == {TensorProto.FLOAT16}
        assert types_into(half, "QuantizeLinear") == {TensorProto.FLOAT16, TensorProto.INT8}
        assert types_into(half, "DequantizeLinear") == {TensorProto.FLOAT16, TensorProto.INT8}
        assert [node.op_type for node in half.graph.node].count("Cast") == 2  # image and logits

    def test_the_integers_are_those_of_the_int8_model(self, pair):
        weights = [
            [numpy_helper.to_array(each) for each in model.graph.initializer if list(each.dims) == [8, 8, 3, 3, 3]]
            for model in pair
        ]
        assert weights[0][0].dtype == np.int8
        assert np.array_equal(weights[0], weights[1])

    def test_pairs_of_float16_need_opset_19_and_the_int8_model_keeps_its_own(self, pair):
        assert [model.opset_import[0].version for model in pair] == [18, 19]
        assert all(model.ir_version <= 10 for model in pair)

    def test_it_computes_nearly_what_int8_computes(self, pair, patch):
        results = [
            onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(
                None, {"image": patch}
            )[0]
            for model in pair
        ]
        assert 0 < np.abs(results[0] - results[1]).mean() < 0.01 * np.ptp(results[0])


class TestRounding:
    @pytest.mark.parametrize(("value", "rounded"), [(1 / 3, 0.333251953125), (2049.0, 2048.0), (1e-9, 0.0)])
    def test_every_result_is_a_float16(self, value, rounded):
        scale = torch.nn.Conv3d(1, 1, 1, bias=False)
        with torch.no_grad():
            scale.weight.fill_(value)
        logits = RoundedStudent(scale.eval()).infer(np.ones((1, 1, 1, 1, 1), np.float32))
        assert (logits.dtype, logits.item()) == (np.float32, rounded)

    def test_what_float16_cannot_hold_becomes_infinite(self):
        """ONNX Runtime's CPU returns 60000 here, for it computes the float16 model in float32."""

        class Overflow(torch.nn.Module):
            def forward(self, image):
                return image * 300 * 200 / 2

        logits = RoundedStudent(Overflow()).infer(np.full((1, 1, 1, 1, 1), 2, np.float32))
        assert logits.item() == np.inf

    def test_sums_in_place_are_rounded_for_whoever_goes_on_with_them(self):
        """As residual blocks add what they were given: ``x += identity``."""

        class Residual(torch.nn.Module):
            def forward(self, image):
                total = image * 40000
                other = total  # the same tensor
                total += image * 40000
                torch.add(image, 1 / 3, out=image)
                return torch.stack([other * 1e-3, image])

        overflown, third = RoundedStudent(Residual()).infer(np.ones((1, 1, 1, 1, 1), np.float32)).ravel()
        assert overflown == np.inf
        assert third == np.float32(np.float16(4 / 3))

    def test_outside_nothing_is_rounded_and_the_student_keeps_its_weights(self):
        third = torch.nn.Conv3d(1, 1, 1)
        with torch.no_grad():
            third.weight.fill_(1 / 3)
        RoundedStudent(third).infer(np.ones((1, 1, 1, 1, 1), np.float32))
        assert third.weight.item() == (torch.ones(1) / 3).item() == np.float32(1 / 3)
