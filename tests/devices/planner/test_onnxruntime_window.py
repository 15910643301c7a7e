"""What a window takes in ONNX Runtime: the buffers that tensors share, and its kernels' own memory."""

from __future__ import annotations

import math

import numpy as np
import onnx
from bedside.devices.planner.costs import model_cost
from bedside.devices.planner.onnxruntime_window import onnxruntime_window_bytes
from bedside.devices.probe.kernels import Kernel
from bedside.devices.probe.networks import kernel_network
from onnx import TensorProto, helper, numpy_helper

MIB = 1 << 20
VOLUME = (1, 4, 64, 64, 64)  # 4 MiB as float32
SMALL = (1, 4, 32, 32, 32)  # 0.5 MiB


def window_bytes(*nodes: onnx.NodeProto, shapes: dict[str, tuple[int, ...]], **weights: tuple[int, ...]) -> float:
    """Returns the MiB of a network of the image ``x``, its logits ``y`` included."""
    graph = helper.make_graph(
        list(nodes),
        "hand",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shapes["x"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shapes["y"])],
        [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in weights.items()],
    )
    return (onnxruntime_window_bytes(graph, shapes | weights) + 4 * math.prod(shapes["y"])) / MIB


def chain(*ops: str) -> list[onnx.NodeProto]:
    """Returns nodes, each on the output of the one before, from ``x`` by ``t0``, ``t1``, … to ``y``."""
    names = ["x", *(f"t{place}" for place in range(len(ops) - 1)), "y"]
    return [helper.make_node(op, [names[place]], [names[place + 1]]) for place, op in enumerate(ops)]


def test_an_activation_is_written_over_its_input():
    shapes = dict.fromkeys(("x", "t0", "t1", "y"), VOLUME) | {"y": SMALL}
    assert window_bytes(*chain("Softmax", "Relu", "MaxPool"), shapes=shapes) == 4 + 0.5


def test_a_sum_is_written_over_neither_of_its_inputs():
    nodes = [
        helper.make_node("Softmax", ["x"], ["t0"]),
        helper.make_node("Softmax", ["x"], ["t1"]),
        helper.make_node("Add", ["t0", "t1"], ["t2"]),
        helper.make_node("MaxPool", ["t2"], ["y"]),
    ]
    shapes = dict.fromkeys(("x", "t0", "t1", "t2"), VOLUME) | {"y": SMALL}
    assert window_bytes(*nodes, shapes=shapes) == 4 + 4 + 4 + 0.5


def test_what_is_read_later_is_not_written_over():
    nodes = [
        helper.make_node("Softmax", ["x"], ["t0"]),
        helper.make_node("Relu", ["t0"], ["t1"]),
        helper.make_node("Concat", ["t0", "t1"], ["t2"], axis=1),
        helper.make_node("MaxPool", ["t2"], ["y"]),
    ]
    shapes = dict.fromkeys(("x", "t0", "t1"), VOLUME) | {"t2": (1, 8, 64, 64, 64), "y": SMALL}
    assert window_bytes(*nodes, shapes=shapes) == 4 + 4 + 8 + 0.5


def test_a_tensor_takes_the_buffer_of_one_of_its_shape_that_nothing_reads_any_more():
    shapes = dict.fromkeys(("x", "t0", "t1", "t2"), VOLUME) | {"y": SMALL}
    assert window_bytes(*chain("Softmax", "Softmax", "Softmax", "MaxPool"), shapes=shapes) == 4 + 4 + 0.5


def test_a_buffer_is_held_until_the_last_of_its_tensors_is_read():
    small = (1, 1, 64, 64, 64)  # 1 MiB
    shapes = {"x": VOLUME, "t0": VOLUME, "t1": small, "t2": small, "t3": VOLUME, "y": SMALL}
    # t3 has t0's buffer, so t2 has no room there; t1 is in the first region, where the logits come after it.
    assert window_bytes(*chain("Softmax", "MaxPool", "Softmax", "Resize", "MaxPool"), shapes=shapes) == 4 + 1 + 1


def test_a_transposed_convolution_takes_its_columns_besides():
    shapes = {"x": SMALL, "t0": SMALL, "y": VOLUME}
    nodes = [helper.make_node("Softmax", ["x"], ["t0"]), helper.make_node("ConvTranspose", ["t0", "w"], ["y"])]
    assert window_bytes(*nodes, shapes=shapes, w=(4, 4, 2, 2, 2)) == 0.5 + 4 + 4


def test_quantized_tensors_take_a_byte_a_value_and_weights_are_converted_for_every_window():
    shapes = {"x": VOLUME, "q": VOLUME, "d": VOLUME, "w": (1024, 1024), "y": SMALL}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale"], ["d"]),
        helper.make_node("DequantizeLinear", ["packed", "scale"], ["w"]),
        helper.make_node("MatMul", ["d", "w"], ["y"]),
    ]
    assert window_bytes(*nodes, shapes=shapes, scale=(), packed=(1024, 1024)) == 4 + 4 + 1


def test_a_network_that_computes_nothing_takes_only_its_logits():
    assert window_bytes(shapes={"x": SMALL, "y": SMALL}) == 0.5


def test_a_convolution_in_int8_takes_a_pointer_for_each_value_of_its_kernel_and_each_voxel():
    """Beside bytes of the input and of the output, each once as it is and once with its channels last."""
    content = kernel_network(Kernel("conv", 16, 16, 64, quantized=True), 1, "uint8")
    cost = model_cost(content)
    voxels = 64**3
    logits, floats, byte = 2 * 4 * voxels, 16 * 4 * voxels, 16 * voxels
    assert cost.onnxruntime_bytes >= 27 * 8 * voxels + 3 * byte - logits
    assert cost.onnxruntime_bytes <= 27 * 8 * voxels + 4 * byte + 2 * floats + logits
