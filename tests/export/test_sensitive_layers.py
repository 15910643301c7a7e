"""Layers that int8 costs most stay in floating point, and nothing else changes."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import pytest
import torch
from bedside.export import ExportCases, sensitive_layers
from bedside.export.onnx_export import student_to_onnx
from bedside.export.quantize import quantize_onnx, split_for_int8
from bedside.export.reference import Reference
from bedside.export.sensitive_layers import BoundsUsed, in_float, int8_layers, without_sensitive_layers
from bedside.runtime import open_engine

PATCH = (8, 12, 16)
LAYERS = ("first", "second", "third")


class ThreeLayers(torch.nn.Module):
    """Three layers that int8 quantizes, the third behind a Concat that is split in two."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv3d(1, 8, 3, padding=1)
        self.first = torch.nn.Conv3d(8, 8, 3, padding=1)
        self.second = torch.nn.Conv3d(8, 8, 3, padding=1)
        self.third = torch.nn.Conv3d(16, 3, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        first = torch.relu(self.first(torch.relu(self.stem(image))))
        return self.third(torch.cat((first, torch.relu(self.second(first))), 1))


@pytest.fixture(scope="module")
def patch() -> np.ndarray:
    return np.random.default_rng(0).random((1, 1, *PATCH), np.float32)


@pytest.fixture(scope="module")
def exact() -> onnx.ModelProto:
    torch.manual_seed(0)
    return student_to_onnx(ThreeLayers(), PATCH)


@pytest.fixture(scope="module")
def quantized(exact, patch) -> onnx.ModelProto:
    return quantize_onnx(exact, [patch])


def logits(model, patch):
    with open_engine("onnxruntime", model.SerializeToString(), threads=1, precision="int8") as engine:
        return engine.infer(patch)


def priced(prices):
    """A cost: what the layers that are in int8 cost, by the number of the layer."""

    def cost(model):
        return sum(price for layer, price in prices.items() if layer in int8_layers(model))

    return cost


@pytest.fixture(scope="module")
def names(quantized) -> list[str]:
    return int8_layers(quantized)


def search(quantized, exact, cost, seconds=1000.0):
    remarks: list[str] = []
    return without_sensitive_layers(quantized, exact, cost, seconds, remarks.append), remarks


def test_with_all_layers_in_float_the_model_is_the_exact_one(quantized, exact, names, patch):
    assert len(names) == 4  # the third layer in two parts
    back = in_float(quantized, split_for_int8(exact), names)
    assert np.abs(logits(back, patch) - logits(exact, patch)).max() < 1e-5
    assert not any("Quantize" in node.op_type for node in back.graph.node)


def test_one_layer_returns_and_the_other_layers_keep_their_scales(quantized, exact, names):
    back = in_float(quantized, split_for_int8(exact), names[1:2])
    onnx.checker.check_model(back, full_check=True)
    assert int8_layers(back) == [names[0], *names[2:]]
    scales = [
        {tensor.name: tensor for tensor in model.graph.initializer if tensor.name.startswith("scale")}
        for model in (quantized, back)
    ]
    assert 0 < len(scales[1]) < len(scales[0])
    assert all(scales[0][name] == tensor for name, tensor in scales[1].items())


def test_int8_that_passes_with_room_is_measured_once_and_not_changed(quantized, exact):
    measured = []
    found, remarks = search(quantized, exact, lambda model: measured.append(model) or 0.5)
    assert found.model is quantized
    assert (found.sensitive, len(measured), remarks) == ((), 1, [])


def test_without_time_nothing_is_measured(quantized, exact):
    found, _ = search(quantized, exact, lambda _: pytest.fail("measured"), seconds=0)
    assert found.model is quantized


def test_the_layers_that_cost_most_leave_until_half_of_the_bound_is_free(quantized, exact, names):
    prices = dict(zip(names, (0.3, 0.9, 0.2, 0.4), strict=True))
    found, remarks = search(quantized, exact, priced(prices))
    assert [(layer.name, pytest.approx(layer.price)) for layer in found.sensitive] == [
        ("second", 0.9),
        ("third.part1", 0.4),
    ]
    assert int8_layers(found.model) == [names[0], names[2]]
    assert remarks == [
        "int8 uses 180 % of the gate's bounds; the layers that cost most are searched",
        "2 layers stay in floating point; int8 uses 50 % of the gate's bounds",
    ]


def test_a_layer_that_costs_nothing_stays_in_int8(quantized, exact, names):
    found, _ = search(quantized, exact, lambda model: 2 + 0.5 * (names[0] in int8_layers(model)))
    assert [(layer.name, layer.price) for layer in found.sensitive] == [("first", 0.5)]


def test_one_layer_at_least_stays_in_int8(quantized, exact):
    found, _ = search(quantized, exact, lambda model: 1 + len(int8_layers(model)))
    assert len(int8_layers(found.model)) == 1


def test_what_was_found_when_the_time_is_over_counts(quantized, exact, names, monkeypatch):
    """A clock that goes on by a second at each look: three quarters of 5 seconds are enough to rank three layers."""
    clock = itertools.count()
    monkeypatch.setattr(sensitive_layers.time, "monotonic", lambda: float(next(clock)))
    prices = dict(zip(names, (0.1, 0.2, 0.3, 5.0), strict=True))
    found, remarks = search(quantized, exact, priced(prices), seconds=5)
    assert "the time allows to measure 3 of 4 layers" in remarks
    assert [layer.name for layer in found.sensitive] == ["third.part0"]


def test_an_output_that_is_not_finite_is_not_searched(quantized, exact):
    found, remarks = search(quantized, exact, lambda _: float("inf"))
    assert (found.model, remarks) == (quantized, [])


def test_the_cost_is_the_gates_measure_on_the_patches_of_the_comparison(toy_student, toy_task, toy_case):
    reference = Reference.from_student(toy_student, toy_task, ExportCases(gate=[toy_case]))
    model = student_to_onnx(toy_student, toy_task.patch.dhw)
    cost = BoundsUsed(reference, threads=1)
    assert cost(model) < 0.001
    doubled = onnx.ModelProto()
    doubled.CopyFrom(model)
    for tensor in doubled.graph.initializer:
        if list(tensor.dims) == [3, 3, 3, 3, 3]:
            tensor.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(tensor), tensor.name))
    assert cost(doubled) > 100  # all labels are others: 1 / 0.005
