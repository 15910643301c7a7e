"""Layers that int8 costs most stay in floating point, and nothing else changes."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import pytest
import torch
from bedside.export import ExportCases
from bedside.export.int8 import sensitive_layers
from bedside.export.int8.sensitive_layers import BoundsUsed, without_sensitive_layers
from bedside.export.int8.signed import SignedModel, quantize_signed
from bedside.export.int8.unsigned import quantize_unsigned
from bedside.export.onnx_graphs.onnx_export import student_to_onnx
from bedside.export.reference import Reference

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
def quantized(exact, patch) -> SignedModel:
    return quantize_signed(exact, [patch])


def priced(prices):
    """A cost: what the layers that are in int8 cost, by the number of the layer."""

    def cost(model):
        return sum(price for layer, price in prices.items() if layer in model.layers)

    return cost


@pytest.fixture(scope="module")
def names(quantized) -> list[str]:
    return quantized.layers


def search(quantized, cost, seconds=1000.0):
    remarks: list[str] = []
    return without_sensitive_layers(quantized, cost, seconds, remarks.append), remarks


def test_int8_that_passes_with_room_is_measured_once_and_not_changed(quantized):
    measured = []
    found, remarks = search(quantized, lambda model: measured.append(model) or 0.5)
    assert found.quantized is quantized
    assert (found.sensitive, len(measured), remarks) == ((), 1, [])


def test_without_time_nothing_is_measured(quantized):
    found, _ = search(quantized, lambda _: pytest.fail("measured"), seconds=0)
    assert found.quantized is quantized


def test_the_layers_that_cost_most_leave_until_half_of_the_bound_is_free(quantized, names):
    prices = dict(zip(names, (0.3, 0.9, 0.2, 0.4), strict=True))
    found, remarks = search(quantized, priced(prices))
    assert [(layer.name, pytest.approx(layer.price)) for layer in found.sensitive] == [
        ("second", 0.9),
        ("third.part1", 0.4),
    ]
    assert found.quantized.layers == [names[0], names[2]]
    assert remarks == [
        "int8 uses 180 % of the gate's bounds; the layers that cost most are searched",
        "2 layers stay in floating point; int8 uses 50 % of the gate's bounds",
    ]


def test_a_layer_that_costs_nothing_stays_in_int8(quantized, names):
    found, _ = search(quantized, lambda model: 2 + 0.5 * (names[0] in model.layers))
    assert [(layer.name, layer.price) for layer in found.sensitive] == [("first", 0.5)]


def test_one_layer_at_least_stays_in_int8(quantized):
    found, _ = search(quantized, lambda model: 1 + len(model.layers))
    assert len(found.quantized.layers) == 1


def test_what_was_found_when_the_time_is_over_counts(quantized, names, monkeypatch):
    """A clock that goes on by a second at each look: three quarters of 5 seconds are enough to rank three layers."""
    clock = itertools.count()
    monkeypatch.setattr(sensitive_layers.time, "monotonic", lambda: float(next(clock)))
    prices = dict(zip(names, (0.1, 0.2, 0.3, 5.0), strict=True))
    found, remarks = search(quantized, priced(prices), seconds=5)
    assert "the time allows to measure 3 of 4 layers" in remarks
    assert [layer.name for layer in found.sensitive] == ["third.part0"]


def test_an_output_that_is_not_finite_is_not_searched(quantized):
    found, remarks = search(quantized, lambda _: float("inf"))
    assert (found.quantized, remarks) == (quantized, [])


@pytest.mark.parametrize("quantize", [quantize_signed, quantize_unsigned])
def test_the_cost_is_the_gates_measure_on_the_patches_of_the_comparison(quantize, toy_student, toy_task, toy_case):
    reference = Reference.from_student(toy_student, toy_task, ExportCases(gate=[toy_case]))
    cost = BoundsUsed(reference, threads=1)
    patches = [each.image for each in reference.patches]
    exact = student_to_onnx(toy_student, toy_task.patch.dhw)
    quantized = quantize(exact, patches)
    assert 0 < cost(quantized) < 100
    assert cost(quantized.without(quantized.layers)) < 0.001
    for tensor in exact.graph.initializer:
        if list(tensor.dims) == [3, 3, 3, 3, 3]:
            tensor.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(tensor), tensor.name))
    assert cost(quantize(exact, patches)) > 100  # all labels are others: 1 / 0.005
