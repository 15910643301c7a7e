"""The network against its plain reference: all slices and channels at once, by SAM's own code."""

from __future__ import annotations

import pytest
import torch
from bedside.runtime.errors import UsageError
from bedside.teacher.selfprompt.config import SelfPromptConfig
from bedside.teacher.selfprompt.network import SelfPromptSam
from bedside.teacher.selfprompt.reference import plain_logits
from bedside.training.loop.objective import all_logits
from torch import Tensor

torch.set_num_threads(1)

PATCH = (16, 16, 32)


def network(**options) -> SelfPromptSam:
    """A network whose adapters are far from where they start, so that each of them shows."""
    torch.manual_seed(0)
    model = SelfPromptConfig(sam="vit_nano", **options).build(4, PATCH)
    for name, parameter in model.named_parameters():
        if "depth_table" in name or name.endswith((".up.weight", ".second.weight")):
            torch.nn.init.normal_(parameter, std=0.1)
    with torch.no_grad():
        model.generator.heads[-1].bias[3] -= 2.5  # a class that not every slice has
    return model


def images(batch: int) -> Tensor:
    return torch.rand(batch, 1, *PATCH, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("options", [{}, {"slices": 3, "checkpoint_activations": True}])
def test_logits_and_gradients_are_those_of_the_plain_network(options):
    model, x = network(**options).double().train(), images(2).double()
    found = []
    for output in (model(x), plain_logits(model, x)):
        model.zero_grad()
        logits = all_logits(output)
        sum(each.square().mean() for each in logits).backward()
        found.append((logits, {name: p.grad for name, p in model.named_parameters() if p.requires_grad}))
    (ours, gradients), (plain, expected) = found
    assert [tuple(each.shape) for each in ours] == [
        (2, 4, *PATCH), (2, 4, *PATCH), (2, 4, 16, 8, 16), (2, 4, 16, 4, 8), (2, 4, 16, 4, 8),
    ]  # fmt: skip
    for one, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-9, rtol=1e-7, msg=name)


def test_some_classes_are_absent_from_some_slices_of_the_compared_patch():
    model = network().train()
    labels = model(images(2)).auxiliary[0].argmax(dim=1)  # [B, D, H, W]
    present = torch.stack([(labels == number).flatten(2).any(dim=2) for number in range(4)])
    assert 0 < present.sum() < present.numel()


def test_a_network_without_a_part_is_refused():
    with pytest.raises(UsageError, match="the plain network has all parts"):
        plain_logits(network(class_adapter=False), images(1))
