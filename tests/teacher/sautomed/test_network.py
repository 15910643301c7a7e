"""The network as a whole; `test_reference.py` compares it with a plain loop over slices."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from bedside.runtime.errors import UsageError
from bedside.teacher.cost import Cost, predict_cost
from bedside.teacher.parameters import count_parameters
from bedside.teacher.sautomed.config import SAutoMedConfig
from bedside.teacher.sautomed.network import SAutoMed
from bedside.teacher.simulated_step import LiveMemory, flop_counter
from bedside.training.loop.losses import segmentation_loss
from torch import Tensor

torch.set_num_threads(1)

NANO = SAutoMedConfig(sam="vit_nano")
PATCH = (16, 16, 32)
CLASSES = 4


def network(**options) -> SAutoMed:
    torch.manual_seed(0)
    return replace(NANO, **options).build(CLASSES, PATCH)


def images(batch: int = 1) -> Tensor:
    return torch.rand(batch, 1, *PATCH, generator=torch.Generator().manual_seed(1))


def test_history_reaches_the_ends_of_the_patch_and_without_it_a_far_slice_changes_nothing():
    x = images()
    changed = x.clone()
    changed[:, :, 8] += 1  # the middle slice
    with torch.no_grad():
        moved = {
            history: (model(changed) - model(x)).abs().amax(dim=(0, 1, 3, 4)) > 0
            for history in (True, False)
            for model in [network(history=history, prompts=False).eval()]
        }
    assert moved[True].all()
    assert moved[False].nonzero().flatten().tolist() == [7, 8, 9]  # local attention alone


@pytest.mark.parametrize("axis", ["x", "y"])
def test_slices_are_stacked_along_the_depth_axis(axis):
    edge = (16, 16, 16)
    model = replace(NANO, depth_axis=axis)
    torch.manual_seed(0)
    along = model.build(CLASSES, edge).eval()
    torch.manual_seed(0)
    along_z = NANO.build(CLASSES, edge).eval()
    order = {"x": (0, 1, 4, 2, 3), "y": (0, 1, 3, 2, 4)}[axis]
    x = torch.rand(1, 1, *edge)
    with torch.no_grad():
        expected = along_z(x.permute(order))
        torch.testing.assert_close(along(x).permute(order), expected)


@pytest.mark.parametrize("enlarge", [1, 2])
def test_smaller_enlargements_give_logits_of_the_patchs_size(enlarge):
    model = network(enlarge=enlarge).eval()
    with torch.no_grad():
        maps = model.image_encoder(images()[0].movedim(1, 0))
        logits = model(images())
    assert maps.shape == (16, 64, enlarge, 2 * enlarge)
    assert logits.shape == (1, CLASSES, *PATCH)


@pytest.mark.parametrize("part", ["local", "history", "prompts"])
def test_what_an_ablation_leaves_out_is_not_built_and_all_that_is_built_learns(part):
    whole, model = network(), network(**{part: False})
    left_out = {"local": "slice sharing", "history": "history", "prompts": "box prompt generator"}[part]
    counts = count_parameters(model, model.config.component).components
    assert counts == {
        name: n for name, n in count_parameters(whole, whole.config.component).components.items() if name != left_out
    }
    model(images()).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0] == []


def test_with_a_frozen_encoder_lora_alone_trains_in_it():
    model = network(train_encoder=False)
    trained = [name for name, p in model.image_encoder.named_parameters() if p.requires_grad]
    assert len(trained) == 4 * 4
    assert all(".qkv.down_" in name or ".qkv.up_" in name for name in trained)
    model(images()).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None and bool(parameter.grad.abs().max() > 0)) == parameter.requires_grad, name


@cache
def predicted(**options) -> Cost:
    return predict_cost(replace(NANO, **options), num_classes=CLASSES, patch=PATCH)


@pytest.mark.parametrize("options", [{}, {"checkpoint_activations": True}])
def test_predicted_memory_is_what_a_real_step_holds(options):
    config, cost = replace(NANO, **options), predicted(**options)
    torch.manual_seed(0)
    with LiveMemory() as live:
        model = config.build(CLASSES, PATCH).to(torch.float32)
        live.peak = 0  # what building took is over
        labels = torch.zeros(1, 1, *PATCH)
        segmentation_loss()(model(torch.rand(1, 1, *PATCH)), labels).backward()
    states = 2 * sum(p.numel() for p in model.parameters() if p.requires_grad) * 4
    assert cost.memory.peak == pytest.approx(live.peak + states, rel=0.02)


def test_checkpointed_activations_change_memory_and_not_gradients():
    gradients = []
    for checkpointed in (False, True):
        model = network(checkpoint_activations=checkpointed)
        model(images()).square().sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))
    usual, checkpointed = predicted(), predicted(checkpoint_activations=True)
    assert checkpointed.memory.activations < 0.6 * usual.memory.activations
    assert checkpointed.forward_flops == usual.forward_flops
    assert checkpointed.step_flops > usual.step_flops


def test_another_shape_is_refused():
    with pytest.raises(UsageError, match=r"expected \[B, 1, 16×16×32\], got \[1, 1, 16, 16, 16\]"):
        network()(torch.rand(1, 1, 16, 16, 16))


def test_logits_of_the_loss_are_finite_in_bfloat16():
    model, x = network(), images()
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(x)
    assert logits.float().isfinite().all()
    exact = F.softmax(network()(x), dim=1)
    assert (F.softmax(logits.float(), dim=1) - exact).abs().mean() < 0.05


def test_predicted_operations_are_those_that_torch_counts_in_a_real_step():
    model = network()
    with flop_counter() as counter:
        logits = model(images())
        forward = counter.get_total_flops()
        logits.sum().backward()
    assert predicted().forward_flops == forward
    assert predicted().step_flops == counter.get_total_flops()
