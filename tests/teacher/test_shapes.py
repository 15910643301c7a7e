"""Shapes on the way through ViT-B at 128³, of tensors without memory."""

from __future__ import annotations

import pytest
import torch
from bedside.runtime.task_presets import PRESETS as TASKS
from bedside.teacher import build_teacher

PAPER = {
    "encoder.patch_embed": (1, 32, 32, 32, 768),
    "encoder.blocks.0.adapter.down": (1, 32, 32, 32, 384),
    "encoder.blocks.0.adapter": (1, 32, 32, 32, 768),
    "encoder.blocks.0.attn.qkv": (1, 32, 32, 32, 2304),
    "encoder.blocks.11.mlp.lin1": (1, 32, 32, 32, 3072),
    "encoder.blocks.11": (1, 32, 32, 32, 768),
    "encoder.necks.1": (1, 256, 32, 32, 32),
    "encoder.necks.4": (1, 256, 32, 32, 32),
    "prompt_generator.down.0": (1, 16, 32, 32, 32),
    "prompt_generator.down.1": (1, 32, 16, 16, 16),
    "prompt_generator.down.2": (1, 64, 8, 8, 8),
    "prompt_generator.down.3": (1, 128, 4, 4, 4),
    "prompt_generator.down.4": (1, 160, 2, 2, 2),
    "prompt_generator.up.3": (1, 16, 32, 32, 32),
    "prompt_generator": (1, 256, 32, 32, 32),
    "decoder.heads.0": (1, 128, 32, 32, 32),
    "decoder.heads.3": (1, 128, 32, 32, 32),
    "decoder.fuse": (1, 128, 64, 64, 64),
    "decoder.classify": (1, 14, 64, 64, 64),
    "": (1, 14, 128, 128, 128),
}


def shapes(**options) -> dict[str, tuple[int, ...]]:
    """Name of every module that gives out one tensor → its shape."""
    with torch.device("meta"):
        model = build_teacher("autosam", **{"num_classes": 14, **options})
        seen = {}
        for name, module in model.named_modules():

            def note(_module, _inputs, out, name=name):
                if isinstance(out, torch.Tensor):
                    seen[name] = tuple(out.shape)

            module.register_forward_hook(note)
        with torch.no_grad():
            model(torch.empty(1, 1, *model.patch))
    return seen


@pytest.mark.parametrize("preset", ["paper", "released_code"])
def test_shapes_at_128_are_the_papers(preset):
    seen = shapes(preset=preset)
    assert {name: seen[name] for name in PAPER} == PAPER
    assert sum(name.startswith("encoder.blocks.") and name.count(".") == 2 for name in seen) == 12


def test_fusion_convolves_513_channels():
    with torch.device("meta"):
        model = build_teacher("autosam", num_classes=14)
    assert model.decoder.fuse[0].weight.shape == (128, 513, 3, 3, 3)


@pytest.mark.parametrize("options", [{"apg": False}, {"mlam": False}, {"apg": False, "mlam": False}], ids=str)
def test_ablations_keep_the_shape_of_the_logits(options):
    seen = shapes(**options)
    heads = {name for name in seen if name.startswith("decoder.heads.") and name.count(".") == 2}
    assert seen[""] == (1, 14, 128, 128, 128)
    assert len(heads) == (4 if options.get("mlam", True) else 1)
    assert any(name.startswith("prompt_generator.") for name in seen) == options.get("apg", True)


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_every_task_preset_magnetic_resonance_included_has_a_teacher_of_its_shape(task):
    seen = shapes(num_classes=task.num_classes, patch=task.patch.dhw, sam="vit_nano")
    assert seen[""] == (1, task.num_classes, *task.patch.dhw)
