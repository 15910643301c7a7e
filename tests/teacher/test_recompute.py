"""Memory for work: less is kept, nothing else changes."""

from __future__ import annotations

import pytest
import torch
from bedside.teacher import build_teacher
from bedside.teacher.recompute import recomputed
from bedside.teacher.simulated_step import LiveMemory

torch.set_num_threads(1)

PATCH = (32, 64, 32)


def make(**options):
    torch.manual_seed(0)
    return build_teacher("autosam", num_classes=3, sam="vit_nano", patch=PATCH, **options)


def gradients(model) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    model(torch.rand(1, 1, *PATCH)).square().sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("preset", ["paper", "released_code"])
@pytest.mark.parametrize("train_encoder", [True, False])
def test_checkpointed_activations_give_identical_gradients(preset, train_encoder):
    usual = gradients(make(preset=preset, train_encoder=train_encoder))
    checkpointed = gradients(make(preset=preset, train_encoder=train_encoder, checkpoint_activations=True))
    assert usual.keys() == checkpointed.keys()
    assert [name for name in usual if not torch.equal(usual[name], checkpointed[name])] == []


@pytest.mark.parametrize(("train_encoder", "tensors"), [(False, 8), (True, 15)])
def test_checkpointed_activations_are_kept_between_blocks_only(train_encoder, tensors):
    kept = {}
    for checkpoint_activations in (False, True):
        model = make(checkpoint_activations=checkpoint_activations, train_encoder=train_encoder)
        with LiveMemory() as live:
            weights = [parameter.detach() for parameter in model.parameters()]  # counted, and taken off again
            before = live.held
            logits = model(torch.rand(1, 1, *PATCH))
            kept[checkpoint_activations] = live.held - before
        assert logits.requires_grad
        assert len(weights) > 0
    tokens = 8 * 16 * 8 * 96 * 4
    # Of each of 4 blocks go: queries, keys and values (3), the tokens before the MLP (1) and its hidden layer (4); the
    # tokens between blocks stay, and what the adapter and attention worked on was dropped before already. A
    # linear layer that trains keeps its input too: that of queries, keys and values (1), of the projection (1), and of
    # the two of the MLP (1 + 4).
    assert kept[False] - kept[True] == pytest.approx(4 * tensors * tokens, rel=0.02)


def test_steps_are_run_again_only_where_a_gradient_is_wanted():
    runs = []

    def step(x):
        runs.append(torch.is_grad_enabled())
        return x.exp().sin()

    x = torch.ones(3, requires_grad=True)
    with torch.no_grad():
        recomputed(step, x)
    assert runs == [False]
    recomputed(step, x, enabled=False).sum().backward()
    assert len(runs) == 2
    once, x.grad = x.grad.clone(), None
    recomputed(step, x).sum().backward()
    assert len(runs) == 4
    assert torch.equal(x.grad, once)
