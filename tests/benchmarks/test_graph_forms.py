"""The forms of benchmarks/graph_forms compute the same; their times are measured by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from bedside.distill import build_student
from bedside.export.onnx_graphs.onnx_export import student_to_onnx
from bedside.runtime.axes import DHW
from bedside.runtime.engines import open_engine
from monai.networks.nets.swin_unetr import BasicLayer

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "graph_forms"


@pytest.fixture
def scripts(import_script):
    return import_script(SCRIPTS, ("forms", "rewritten"))


def count(model, kind):
    return [node.op_type for node in model.graph.node].count(kind)


def test_without_transposed_convolutions_a_student_computes_the_same(scripts):
    torch.manual_seed(0)
    model = student_to_onnx(build_student("unet-edge-tiny", num_classes=3), DHW(16, 16, 16))
    rewritten = scripts("rewritten").transposed_as_convolutions(model)
    assert count(model, "ConvTranspose") > 0 == count(rewritten, "ConvTranspose")
    image = np.random.default_rng(0).standard_normal((1, 1, 16, 16, 16), np.float32)
    engines = [open_engine("onnxruntime", each.SerializeToString()) for each in (model, rewritten)]
    first, second = (engine.infer(image) for engine in engines)
    assert np.abs(first - second).max() < 1e-5


class Swin(torch.nn.Module):
    """Two of SwinUNETR's blocks, the second with shifted windows, on an image at half resolution."""

    def __init__(self):
        super().__init__()
        self.down = torch.nn.Conv3d(1, 8, 2, stride=2)
        self.blocks = BasicLayer(8, depth=2, num_heads=2, window_size=(4, 4, 4), drop_path=[0.0, 0.0])
        self.up = torch.nn.ConvTranspose3d(8, 2, 2, stride=2)

    def forward(self, image):
        return self.up(self.blocks(self.down(image)))


def test_a_swin_transformer_has_every_form_and_each_computes_the_same(scripts):
    torch.manual_seed(0)
    forms = scripts("forms")
    models = forms.exported_forms(Swin().eval(), DHW(16, 16, 16))
    assert len(models) == 6  # it has no norm that sums in parts
    assert count(models["position bias as constants"], "Gather") < count(models[forms.WRITTEN], "Gather")
    measured = forms.measured(models, "onnxruntime", "fp32", rounds=1)
    assert measured[forms.LABELS].difference == 0
    assert all(form.difference < 1e-3 for form in measured.values()), {k: v.difference for k, v in measured.items()}
