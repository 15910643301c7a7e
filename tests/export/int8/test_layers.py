"""The heavy layers, and what both forms of int8 check."""

from __future__ import annotations

import pytest
import torch
from bedside.export.int8.layers import check_patches, heavy_layers
from bedside.export.onnx_graphs.onnx_export import student_to_onnx
from bedside.runtime.errors import UsageError

PATCH = (8, 8, 8)


class Layers(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv3d(1, 4, 3, padding=1)
        self.spatial = torch.nn.Conv3d(4, 4, 3, padding=1)
        self.pointwise = torch.nn.Conv3d(4, 4, 1)
        self.linear = torch.nn.Linear(4, 4)
        self.up = torch.nn.ConvTranspose3d(4, 2, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        tokens = self.pointwise(self.spatial(self.stem(image))).flatten(2).transpose(1, 2)
        tokens = self.linear(tokens)
        return self.up(tokens.transpose(1, 2).reshape(image.shape[0], 4, *PATCH))


def test_heavy_are_spatial_convolutions_but_the_one_on_the_image_and_products_with_constant_weights():
    model = student_to_onnx(Layers(), PATCH)
    of = {node.name: node.op_type for node in model.graph.node}
    assert [of[name] for name in heavy_layers(model)] == ["Conv", "MatMul"]
    kernel = next(node.input[1] for node in model.graph.node if node.name == heavy_layers(model)[0])
    assert next(tuple(each.dims) for each in model.graph.initializer if each.name == kernel) == (4, 4, 3, 3, 3)


def test_no_patches_are_refused_with_the_option_that_gives_them():
    with pytest.raises(UsageError, match="got none; give --calibration a data set with scans"):
        check_patches([])
