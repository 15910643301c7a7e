"""The options of SwinUNETR as a teacher; the conformance suite has the rest."""

import pytest
import torch
from bedside.runtime.errors import UsageError
from bedside.teacher.cost import predict_cost
from bedside.teacher.swin import SwinUnetrConfig


def gradients(**options):
    torch.manual_seed(0)
    model = SwinUnetrConfig(feature_size=12, **options).build(2, (64, 32, 32))
    model(torch.rand(1, 1, 64, 32, 32)).square().sum().backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def test_checkpointed_activations_give_the_same_gradients():
    usual, checkpointed = gradients(), gradients(checkpoint_activations=True)
    assert usual.keys() == checkpointed.keys()
    for name, gradient in usual.items():
        assert torch.equal(gradient, checkpointed[name]), name


def test_checkpointed_activations_take_less_memory_and_more_work():
    usual, checkpointed = (
        predict_cost(SwinUnetrConfig(feature_size=12, checkpoint_activations=on), num_classes=2, patch=64)
        for on in (False, True)
    )
    assert checkpointed.memory.activations < 0.8 * usual.memory.activations
    assert checkpointed.step_flops > usual.step_flops


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"feature_size": 40}, "feature_size: expected a multiple of 12, got 40"),
        ({"feature_size": 0}, "feature_size: expected a whole number from 12 to 192, got 0"),
        ({"window": 1}, "window: expected a whole number from 2 to 16, got 1"),
        ({"checkpoint_activations": "no"}, 'checkpoint_activations: expected True or False, got "no"'),
    ],
)
def test_invalid_options_say_what_was_expected(options, message):
    with pytest.raises(UsageError, match=message):
        SwinUnetrConfig(**options)


def test_a_patch_without_an_edge_of_64_is_refused():
    with pytest.raises(UsageError, match=r"in multiples of 32 voxels, one at least 64, .* got \(32, 32, 32\)"):
        SwinUnetrConfig().build(2, 32)


def test_the_title_names_its_size():
    assert SwinUnetrConfig().title == "swinunetr with 48 features, window 7"
    assert SwinUnetrConfig(checkpoint_activations=True).title.endswith(", activations checkpointed")
