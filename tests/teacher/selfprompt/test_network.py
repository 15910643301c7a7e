"""The network as a whole; `test_reference.py` compares it with a plain one."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from bedside.teacher.cost import Cost, predict_cost
from bedside.teacher.selfprompt.config import SelfPromptConfig
from bedside.teacher.selfprompt.network import SelfPromptSam
from bedside.teacher.simulated_step import LiveMemory, flop_counter
from bedside.training.loop.losses import segmentation_loss
from bedside.training.loop.objective import DeepLogits, all_logits, supervised_terms, total
from torch import Tensor

from .ablation import ABLATION

torch.set_num_threads(1)

NANO = SelfPromptConfig(sam="vit_nano", enlarge=2)
PATCH = (16, 16, 32)
CLASSES = 3


def network(**options) -> SelfPromptSam:
    torch.manual_seed(0)
    return replace(NANO, **options).build(CLASSES, PATCH)


def images(batch: int = 1) -> Tensor:
    return torch.rand(batch, 1, *PATCH, generator=torch.Generator().manual_seed(1))


def loss_of(output: Tensor | DeepLogits) -> Tensor:
    def objective(logits, batch):
        return {"labels": segmentation_loss()(logits, batch["label"])}

    return total(supervised_terms(objective, output, {"label": torch.zeros(1, 1, *PATCH)}))


def test_auxiliary_logits_come_in_training_alone():
    model = network()
    output = model(images())
    assert isinstance(output, DeepLogits)
    assert output.auxiliary[0].shape == output.logits.shape == (1, CLASSES, *PATCH)
    with torch.no_grad():
        assert torch.equal(model(images()), output.logits)
    assert torch.equal(model.eval()(images()), output.logits)


def test_in_the_first_phase_only_the_generator_and_what_comes_before_it_learn():
    model = network(train_encoder=False)
    model.auxiliary_alone = True
    output = model(images())
    assert output.logits is None
    sum(logits.square().sum() for logits in output.auxiliary).backward()
    learned = {
        model.config.component(name) for name, p in model.named_parameters() if p.grad is not None and p.grad.any()
    }
    assert learned == {"modality adapter", "adapters", "depth tables", "prompt generator"}
    idle = {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad and p.grad is None}
    assert idle == {"depth_table", "mask_decoder", "classes"}
    with torch.no_grad():
        assert model.eval()(images()).shape == (1, CLASSES, *PATCH)


def test_no_gradient_of_the_logits_reaches_the_generator_through_the_prompts():
    model = network()
    model(images()).logits.square().sum().backward()
    assert all(parameter.grad is None for parameter in model.generator.parameters())


@pytest.mark.parametrize("train_encoder", [False, True])
@pytest.mark.parametrize("row", ABLATION)
def test_all_that_trains_learns_in_each_row_of_the_ablation_and_nothing_else(row, train_encoder):
    model = network(train_encoder=train_encoder, **ABLATION[row])
    sum(logits.square().sum() for logits in all_logits(model(images()))).backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None and bool(parameter.grad.any())) == parameter.requires_grad, name


def test_with_a_frozen_sam_no_tensor_of_sams_trains():
    model = network(train_encoder=False)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    inside_sam = {name for name in trained if name.startswith(("image_encoder.", "prompt_encoder.", "mask_decoder."))}
    assert inside_sam
    assert all("adapter" in name or "depth_table" in name for name in inside_sam)


@pytest.mark.parametrize("axis", ["x", "y"])
def test_slices_are_stacked_along_the_depth_axis(axis):
    edge, models = (16, 16, 16), []
    for config in (replace(NANO, depth_axis=axis), NANO):
        torch.manual_seed(0)
        models.append(config.build(CLASSES, edge))
    order = {"x": (0, 1, 4, 2, 3), "y": (0, 1, 3, 2, 4)}[axis]
    x = torch.rand(1, 1, *edge)
    along, along_z = models[0](x), models[1](x.permute(order))
    for one, other in zip(all_logits(along), all_logits(along_z), strict=True):
        torch.testing.assert_close(one.permute(order), other)


@pytest.mark.parametrize("enlarge", [1, 4])
def test_other_enlargements_give_logits_of_the_patchs_size(enlarge):
    model = network(enlarge=enlarge)
    maps = []
    model.image_encoder.register_forward_hook(lambda _encoder, _given, out: maps.extend(out))
    assert model(images()).logits.shape == (1, CLASSES, *PATCH)
    assert maps[-1].shape == (1, 16, enlarge, 2 * enlarge, 96)


def test_slices_in_batches_of_any_size_give_the_same_logits():
    with torch.no_grad():
        logits = [network(slices=slices)(images()) for slices in (1, 5, 16)]
    torch.testing.assert_close(logits[1], logits[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(logits[2], logits[0], atol=1e-4, rtol=1e-4)


@cache
def predicted(**options) -> Cost:
    return predict_cost(replace(NANO, **options), num_classes=CLASSES, patch=PATCH)


@pytest.mark.parametrize("options", [{}, {"checkpoint_activations": True}])
def test_predicted_memory_is_what_a_real_step_holds(options):
    config, cost = replace(NANO, **options), predicted(**options)
    torch.manual_seed(0)
    with LiveMemory(workspace=True) as live:
        model = config.build(CLASSES, PATCH).to(torch.float32)
        live.peak = 0  # what building took is over
        loss_of(model(torch.rand(1, 1, *PATCH))).backward()
    momentum = sum(p.numel() for p in model.parameters() if p.requires_grad) * 4
    assert cost.memory.optimiser == momentum
    assert cost.memory.peak == pytest.approx(live.peak + momentum, rel=0.02)


def test_predicted_operations_are_those_that_torch_counts_in_a_real_step():
    model = network()
    with flop_counter() as counter:
        output = model(images())
        forward = counter.get_total_flops()
        sum(logits.sum() for logits in all_logits(output)).backward()
    assert predicted().forward_flops == forward
    assert predicted().step_flops == counter.get_total_flops()


def test_checkpointed_activations_change_memory_and_not_gradients():
    gradients = []
    for checkpointed in (False, True):
        model = network(checkpoint_activations=checkpointed)
        loss_of(model(images())).backward()
        gradients.append([p.grad for p in model.parameters() if p.requires_grad])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))
    usual, checkpointed = predicted(), predicted(checkpoint_activations=True)
    assert checkpointed.memory.activations < 0.7 * usual.memory.activations
    assert checkpointed.forward_flops == usual.forward_flops
    assert checkpointed.step_flops > usual.step_flops


def test_logits_are_finite_and_about_the_same_in_bfloat16():
    model, x = network().eval(), images()
    with torch.no_grad():
        exact = F.softmax(model(x), dim=1)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(x)
    assert logits.isfinite().all()
    # Where two classes are about as likely, another prompt is made; elsewhere the masks are the same.
    assert (F.softmax(logits.float(), dim=1) - exact).abs().mean() < 0.05


def test_the_loss_falls_in_both_phases():
    model, x = network(), images()
    labels = (x > 0.5).float()
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01, momentum=0.9)

    def step():
        optimiser.zero_grad()
        loss = total(
            supervised_terms(
                lambda logits, batch: {"labels": segmentation_loss()(logits, batch["label"])},
                model(x),
                {"label": labels},
            )
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 12.0)
        optimiser.step()
        return float(loss.detach())

    for alone in (True, False):
        model.auxiliary_alone = alone
        losses = [step() for _ in range(8)]
        assert losses[-1] < 0.95 * losses[0]
