import copy

import pytest
import torch
from bedside.distill import build_student
from bedside.teacher import build_teacher
from bedside.training.loop.losses import segmentation_loss
from bedside.training.loop.memory_layout import use_channels_last
from safetensors.torch import load_file
from torch import nn

from .tiny_fit import figures, make_run, train


def convolutions(norm=nn.BatchNorm3d):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), norm(4), nn.ReLU(), nn.Conv3d(4, 2, 3, padding=1))


def test_gradients_in_both_layouts_are_equal_within_rounding():
    plain = convolutions()
    other = copy.deepcopy(plain)
    assert use_channels_last(other)
    assert other[3].weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert not other[3].weight.is_contiguous()
    image, label = torch.rand(2, 1, 8, 8, 8), torch.randint(2, (2, 1, 8, 8, 8))
    for model in (plain, other):
        segmentation_loss()(model(image), label).backward()
    for (name, one), two in zip(plain.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(two.grad, one.grad, atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Conv3d(4, 8, 3), nn.Linear(8, 8)),
        nn.Sequential(nn.Conv3d(4, 8, 3), nn.Conv2d(8, 8, 3)),
        nn.Sequential(nn.Linear(8, 8)),
        nn.Sequential(nn.ReLU()),
    ],
)
def test_a_network_with_other_weight_matrices_stays_as_it_is(model):
    assert not use_channels_last(model)
    assert all(weight.is_contiguous() for weight in model.parameters())


@pytest.mark.parametrize(
    ("model", "used"),
    [
        (lambda: build_student("unet-nano", num_classes=2), True),
        (lambda: build_teacher("segresnet", num_classes=2, patch=32, init_filters=8, blocks="1,1,1,1"), True),
        (lambda: build_student("swinunetr-tiny", num_classes=2), False),
        (lambda: build_teacher("autosam", num_classes=2, patch=32, sam="vit_nano"), False),
    ],
)
def test_convolutional_networks_use_it_and_transformers_do_not(model, used):
    assert use_channels_last(model()) == used


def test_a_run_stopped_and_resumed_in_this_layout_ends_with_the_same_weights(tmp_path, prepared, small_task):
    class StoppedError(Exception):
        pass

    def stop(done, total, note):
        if done == 5:
            raise StoppedError

    whole, cut = (make_run(tmp_path / name, small_task) for name in ("whole", "cut"))
    _, expected = train(whole, prepared, model=convolutions())
    assert not expected[3].weight.is_contiguous()
    with pytest.raises(StoppedError):
        train(cut, prepared, model=convolutions(), progress=stop)
    _, resumed = train(cut, prepared, model=convolutions())
    assert torch.equal(resumed[3].weight, expected[3].weight)
    assert figures(cut) == figures(whole)
    assert torch.equal(load_file(cut.best)["model.3.weight"], expected[3].weight)
