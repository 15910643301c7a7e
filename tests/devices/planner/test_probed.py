"""Prediction from a probe, against calculations by hand."""

from __future__ import annotations

import math

import pytest
from bedside.devices.planner.costs import ModelCost, NodeCost, Product
from bedside.devices.planner.probed import ProbedSpeed, kernel_speed, probed_speed
from bedside.devices.planner.roofline import Interval

from ..probe.probes import kernel, made_probe

CALL = kernel("call", 1, 2, 4, seconds=1e-6, network_seconds=1e-4)


def conv(inner: int, columns: int, rows: int, taps: int = 27, quantized: bool = False, **fields) -> NodeCost:
    operations = 2 * inner * columns * rows * taps
    product = Product(inner, columns, rows, taps, **fields)
    values = inner * rows, columns * rows
    return NodeCost("c", "Conv", operations, *values, quantized=quantized, product=product, columns=columns)


def window(found: ProbedSpeed, *nodes: NodeCost) -> Interval:
    seconds = found.window_seconds(ModelCost(nodes, 0, 0))
    assert isinstance(seconds, Interval)
    return seconds


def speed(*kernels, **fields) -> ProbedSpeed:
    found = probed_speed(made_probe(*kernels, **fields), "onnxruntime", "int8" if fields else "fp32")
    assert isinstance(found, ProbedSpeed)
    return found


def test_a_node_like_a_kernel_takes_its_time():
    assert speed(kernel("conv", 16, 16, 32, 2e-3)).node_seconds(conv(16, 16, 32**3)) == pytest.approx(2e-3)


def test_a_node_of_twice_the_operations_takes_twice_the_time():
    assert speed(kernel("conv", 16, 16, 32, 2e-3)).node_seconds(conv(16, 32, 32**3)) == pytest.approx(4e-3)


def test_halfway_between_two_kernels_the_speed_is_their_geometric_mean():
    # 2 ns and 8 ns an operation of two, at 16 and 64 channels: 4 ns at 32
    two = (kernel("conv", 16, 16, 8, 2e-9 * 16 * 16 * 512 * 27), kernel("conv", 64, 64, 8, 8e-9 * 64 * 64 * 512 * 27))
    assert speed(*two).node_seconds(conv(32, 32, 512)) == pytest.approx(4e-9 * 32 * 32 * 512 * 27)


def test_a_strided_convolution_has_kernels_of_its_own():
    found = speed(kernel("conv", 16, 16, 32, 2e-3), kernel("strided conv", 16, 16, 32, 1e-3, rows=16**3))
    assert found.node_seconds(conv(16, 16, 16**3, strided=True)) == pytest.approx(1e-3)


def test_a_transposed_convolution_is_counted_by_all_values_of_its_kernel():
    # 3³ at stride 2: each of 16³ inputs goes to 27 of 32³ outputs, 27 / 8 times the work of a kernel of 2³.
    product, values = Product(16, 8, 32**3, 27), (16 * 16**3, 8 * 32**3)
    node = NodeCost("t", "ConvTranspose", 2 * 16**4 * 8 * 27, *values, product=product)
    assert speed(kernel("transposed conv", 16, 8, 32, 1e-3)).node_seconds(node) == pytest.approx(27 / 8 * 1e-3)


def test_quantized_nodes_take_the_time_of_quantized_kernels():
    quick = kernel("conv", 16, 16, 32, 5e-4, quantized=True)
    found = speed(kernel("conv", 16, 16, 32, 2e-3), quantized=(quick,))
    assert found.node_seconds(conv(16, 16, 32**3, quantized=True)) == pytest.approx(5e-4)
    assert found.node_seconds(conv(16, 16, 32**3)) == pytest.approx(2e-3)


def test_a_window_is_the_call_the_nodes_and_the_output():
    output = kernel("output", 8, 12, 8, seconds=13e-6)  # 12 channels of 512 voxels, less the microsecond of a node
    found = speed(CALL, output, kernel("conv", 16, 16, 32, 2e-3 + 1e-6))
    predicted = window(found, conv(16, 16, 32**3), conv(8, 6, 512, taps=1)).predicted
    assert predicted == pytest.approx(1e-4 + (2e-3 + 1e-6) + (1e-6 + 6 / 12 * 12e-6))


def test_a_network_that_ends_with_interpolation_has_an_output_of_its_own_kind():
    kernels = (kernel("resized output", 14, 14, 8, 2e-3), kernel("copy", 16, 16, 8, 1.0))
    found = speed(kernel("conv", 16, 16, 32, 1e-3), *kernels)
    resize = NodeCost("r", "Resize", 10, 7 * 64, 7 * 512, columns=7)
    assert window(found, conv(16, 16, 32**3), resize).predicted == pytest.approx(1e-3 + 1e-3)


def test_what_an_engine_computes_along_with_a_node_takes_no_time():
    found = speed(CALL, kernel("pointwise", 32, 32, 32, 1e-3))
    assert found.node_seconds(NodeCost("r", "Relu", 10, 1000, 1000, fused=True)) == 0
    assert found.node_seconds(NodeCost("b", "Add", 10, 1000, 1000, parameters=8)) == 0
    assert found.node_seconds(NodeCost("a", "Add", 10, 1000, 1000)) > 0


def test_the_interval_is_as_wide_as_kernels_mispredict_each_other():
    # Each of two kernels predicts the other wrongly by a factor of 2. Of two equal nodes, each has half of the time,
    # and independent errors of half a window each add up to 1 / √2 of one.
    two = (kernel("conv", 16, 16, 8, 1e-9 * 16 * 16 * 512), kernel("conv", 32, 32, 8, 2e-9 * 32 * 32 * 512))
    node = conv(16, 16, 512)
    one, both = (window(speed(*two), *[node] * count) for count in (1, 2))
    assert (one.high / one.predicted, one.predicted / one.low) == pytest.approx((2, 2))
    assert both.high / both.predicted == pytest.approx(2 ** (1 / math.sqrt(2)))


def test_the_interval_is_never_narrower_than_nodes_are_known():
    narrow = window(speed(kernel("conv", 16, 16, 32, 2e-3)), conv(16, 16, 32**3))
    assert narrow.high / narrow.predicted == pytest.approx(math.exp(0.15))


def test_what_was_not_probed_is_said():
    given = made_probe()
    assert probed_speed(given, "openvino", "fp32") == "the probe has no times of openvino"
    assert probed_speed(given, "onnxruntime", "int8") == "the probe has no times of onnxruntime int8 with 2 threads"
    assert probed_speed(given, "onnxruntime", "fp32", 1) == "the probe has no times of onnxruntime fp32 with 1 threads"


def test_a_kind_without_kernels_takes_the_most_similar_one():
    found = speed(kernel("conv", 16, 16, 32, 2e-3))
    as_conv = 2e-3 * 16 * 27 / (16 * 16 * 27)  # the same 432 values for each output, one column
    assert found.node_seconds(conv(432, 1, 32**3, taps=1)) == pytest.approx(as_conv)


def test_a_node_that_resembles_no_kernel_is_said():
    found = speed(kernel("conv", 16, 16, 32, 2e-3))
    cost = ModelCost((conv(16, 16, 512), NodeCost("s", "Softmax", 10, 10, 10)), 0, 0)
    assert found.window_seconds(cost) == "the probe has no kernel that resembles Softmax"


def test_the_speed_of_a_kernel():
    assert kernel_speed(kernel("matmul", 48, 48, 32, 1e-3)) == pytest.approx(2 * 48 * 48 * 32**3 / 1e-3)
    assert kernel_speed(kernel("copy", 16, 16, 48, 1e-3)) == 0
