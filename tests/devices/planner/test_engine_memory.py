"""The memory of an opened network: copies of its weights by engine, and its activations."""

from types import SimpleNamespace

import pytest
from bedside.devices.planner.costs import ModelCost, NodeCost
from bedside.devices.planner.engine_memory import engine_memory
from bedside.devices.planner.planned_model import PlannedVariant

MODEL = SimpleNamespace(
    cost=SimpleNamespace(nodes=(), parameters=1_000_000, peak_values=5_000_000, onnxruntime_bytes=30_000_000),
    model_bytes=4_100_000,
)


def test_openvino_holds_float_weights_about_twice_and_a_window_of_activations():
    found = engine_memory(MODEL, "openvino", "fp32")
    assert found.predicted == pytest.approx(2.2 * 4e6 + 9.5e6 + 20e6)
    assert found.low == pytest.approx(2.2 * 4e6 + 9.5e6 + 10e6)
    assert found.high == pytest.approx(2 * found.predicted)


def test_in_bfloat16_the_second_copy_of_the_weights_and_the_activations_are_half_as_large():
    assert engine_memory(MODEL, "openvino", "bf16").predicted == pytest.approx(1.7 * 4e6 + 9e6 + 10e6)


def test_of_an_engine_that_was_not_measured_the_files_count_once():
    assert engine_memory(MODEL, "tensorrt", "fp32").predicted == pytest.approx(4.1e6 + 20e6)


def test_of_onnx_runtime_the_activations_are_what_its_allocator_takes():
    found = engine_memory(MODEL, "onnxruntime", "fp32")
    assert found.predicted == pytest.approx(2.05 * 4e6 + 0.5e6 + 30e6)


def test_a_transposed_convolution_that_makes_the_logits_is_float32_in_openvino_whatever_the_precision():
    last = NodeCost("up", "ConvTranspose", 1, read=1_000_000, written=4_000_000)
    cost = ModelCost(
        (last, NodeCost("view", "Reshape", 0, 0, 0, fused=True)), peak_values=5_000_000, onnxruntime_bytes=0
    )
    found = engine_memory(PlannedVariant(cost, 4_100_000), "openvino", "bf16")
    assert found.predicted == pytest.approx(9e6 + 4 * 5e6)
