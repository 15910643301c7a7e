"""The AutoSAM Adapter as a whole, on the nano encoder."""

from __future__ import annotations

import pytest
import torch
from bedside.runtime.errors import UsageError
from bedside.teacher import build_teacher
from bedside.teacher.autosam.network import AutoSam

torch.set_num_threads(1)


def make(**options) -> AutoSam:
    torch.manual_seed(0)
    defaults = {"num_classes": 3, "sam": "vit_nano", "patch": (32, 64, 32)}
    return build_teacher("autosam", **{**defaults, **options})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"preset": "released_code"},
        {"apg": False},
        {"apg": False, "preset": "released_code"},
        {"mlam": False},
        {"apg": False, "mlam": False},
        {"checkpoint_activations": True},
        {"train_encoder": False},
        {"train_encoder": False, "preset": "released_code", "checkpoint_activations": True},
    ],
    ids=str,
)
def test_gradients_reach_every_trainable_parameter_and_no_frozen_one(options):
    model = make(**options)
    logits = model(torch.rand(1, 1, 32, 64, 32))
    logits.square().sum().backward()
    assert logits.shape == (1, 3, 32, 64, 32)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name
        else:
            assert parameter.grad is None, name


def test_paper_prompts_from_the_last_stage_and_the_release_from_the_first():
    expected = {"paper": ((1, 2, 3), 4), "released_code": ((4, 3, 2), 1)}
    for preset, stages in expected.items():
        model = make(preset=preset)
        assert (model.head_stages, model.prompt_stage) == stages
        fed = []
        model.prompt_generator.register_forward_hook(lambda _, inputs, __, fed=fed: fed.append(inputs[0]))
        maps = {}
        model.encoder.register_forward_hook(lambda _, __, out, maps=maps: maps.update(out))
        with torch.no_grad():
            model(torch.rand(1, 1, 32, 64, 32))
        assert fed[0] is maps[stages[1]]


def test_checkpoint_holds_parameters_only_and_restores_the_same_function():
    model = make()
    assert set(model.state_dict()) == {name for name, _ in model.named_parameters()}
    torch.manual_seed(1)
    other = build_teacher("autosam", num_classes=3, sam="vit_nano", patch=(32, 64, 32))
    other.load_state_dict(model.state_dict())
    x = torch.rand(1, 1, 32, 64, 32)
    with torch.no_grad():
        assert torch.equal(model(x), other(x))


@pytest.mark.parametrize("preset", ["paper", "released_code"])
def test_every_layer_of_every_adapter_has_moved_after_three_steps(preset):
    model = make(patch=32, preset=preset)
    x = torch.rand(1, 1, 32, 32, 32)
    target = (x[:, 0] > 0.5).long()
    adapters = {name: p for name, p in model.named_parameters() if ".adapter." in name}
    before = {name: p.detach().clone() for name, p in adapters.items()}
    optimiser = torch.optim.SGD(adapters.values(), lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(x), target).backward()
        optimiser.step()
    assert len(adapters) == 4 * 6
    assert [name for name, p in adapters.items() if torch.equal(p, before[name])] == []


@pytest.mark.parametrize("train_encoder", [True, False])
def test_five_steps_on_one_patch_lower_the_loss(train_encoder):
    model = make(patch=32, train_encoder=train_encoder)
    x = torch.rand(1, 1, 32, 32, 32)
    target = (x[:, 0] > 0.5).long() + (x[:, 0] > 0.8).long()
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-4)
    losses = []
    for _ in range(6):
        loss = torch.nn.functional.cross_entropy(model(x), target)
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < losses[0] - 0.05, losses


def test_frozen_parameters_do_not_move_in_training():
    model = make(patch=32, train_encoder=False)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    model(torch.rand(1, 1, 32, 32, 32)).square().sum().backward()
    optimiser.step()
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {name for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("patch", [48, 16, (32, 64, 100), (32, 32), 0])
def test_patches_that_are_not_multiples_of_32_are_refused(patch):
    with pytest.raises(UsageError, match="in multiples of 32 voxels"):
        make(patch=patch)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sam": "vit_x"}, 'no SAM size "vit_x"; expected one of: vit_b, vit_l, vit_h, vit_small, vit_nano'),
        ({"preset": "code"}, 'no teacher preset "code"; expected one of: paper, released_code'),
        ({"depth_axis": "d"}, 'depth_axis: expected z, y, x, got "d"'),
        ({"num_classes": 1}, "num_classes: expected a whole number from 2 to 65536, got 1"),
        ({"preset": "released_code", "mlam": False}, "would leave most of the encoder unused"),
    ],
)
def test_unknown_options_say_what_was_expected(options, message):
    with pytest.raises(UsageError, match=message):
        make(**options)


def test_input_of_another_size_is_refused():
    with pytest.raises(UsageError, match=r"expected \[B, 1, 32×64×32\], got \[1, 1, 64, 64, 32\]"):
        make()(torch.zeros(1, 1, 64, 64, 32))
