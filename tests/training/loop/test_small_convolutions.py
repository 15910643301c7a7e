import copy

import msgspec
import pytest
import torch
from bedside.distill import build_student
from bedside.training.loop.hardware import make_fabric
from bedside.training.loop.precision_choice import choose_precision
from bedside.training.loop.process_group import ProcessGroup
from bedside.training.loop.small_convolutions import keep_small_in_float32
from bedside.training.recipe import Recipe
from torch import nn
from torch.utils.checkpoint import checkpoint

from .tiny_fit import RECIPE, make_run, train


def in_bfloat16(layer, image):
    with torch.autocast("cpu", torch.bfloat16):
        return layer(image)


@pytest.mark.parametrize(
    ("kernel", "voxels", "small"),
    [
        (3, (2, 6, 6), True),
        (3, (6, 2, 6), True),
        (3, (6, 6, 1), True),
        (3, (3, 3, 3), False),
        (5, (4, 6, 6), True),
        (5, (5, 5, 5), False),
        ((1, 3, 3), (1, 3, 3), False),
        ((3, 1, 1), (2, 6, 6), True),
        (1, (1, 1, 1), False),
        (3, (2, 6), True),
        (3, (6, 2), True),
        (3, (3, 3), False),
    ],
)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_convolutions_over_fewer_voxels_than_their_kernel_stay_in_float32(kernel, voxels, small, stride, batch):
    torch.manual_seed(0)
    layer = (nn.Conv2d if len(voxels) == 2 else nn.Conv3d)(2, 4, kernel, stride, padding=2)
    plain = copy.deepcopy(layer)
    keep_small_in_float32(layer)
    image = torch.rand(*batch, 2, *voxels)
    out = in_bfloat16(layer, image)
    assert out.dtype == (torch.float32 if small else torch.bfloat16)
    assert torch.equal(out, plain(image) if small else in_bfloat16(plain, image))


def test_their_gradients_are_those_of_float32():
    torch.manual_seed(0)
    kept = nn.Sequential(nn.Conv3d(1, 4, 3, stride=2, padding=1), nn.Conv3d(4, 4, 3, padding=1))
    plain = copy.deepcopy(kept)
    keep_small_in_float32(kept)
    image = torch.rand(2, 1, 2, 8, 8)
    in_bfloat16(kept, image).square().mean().backward()
    plain(image).square().mean().backward()
    for one, two in zip(kept.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one.grad, two.grad)


def test_features_that_come_in_bfloat16_are_taken():
    layer = nn.Conv3d(2, 4, 3, padding=1)
    keep_small_in_float32(layer)
    assert in_bfloat16(layer, torch.rand(1, 2, 2, 4, 4).bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("slices", [1, 2, 3, 4])
def test_activation_checkpointing_computes_the_same_again(slices):
    torch.manual_seed(0)
    layer = nn.Conv3d(1, 2, 3, padding=1)
    keep_small_in_float32(layer)
    image = torch.rand(1, 1, slices, 4, 4, requires_grad=True)
    gradients = []
    for call in (layer, lambda image: checkpoint(layer, image, use_reentrant=False)):
        loss = in_bfloat16(call, image).float().square().sum()
        gradients.append(torch.autograd.grad(loss, layer.weight)[0])
    assert torch.equal(*gradients)


def test_without_autocast_nothing_changes():
    torch.manual_seed(0)
    model = build_student("unet-edge-base", num_classes=2).eval()
    kept = copy.deepcopy(model)
    keep_small_in_float32(kept)
    image = torch.rand(1, 1, 32, 32, 32)
    assert torch.equal(kept(image), model(image))
    assert list(kept.state_dict()) == list(model.state_dict())
    assert copy.deepcopy(kept).state_dict().keys() == model.state_dict().keys()


def test_the_deepest_layers_of_a_student_in_small_patches_are_kept_and_all_others_are_not():
    model = build_student("unet-edge-base", num_classes=2).eval()
    keep_small_in_float32(model)
    seen = []
    for layer in model.modules():
        if isinstance(layer, nn.Conv3d):
            layer.register_forward_hook(lambda layer, given, out: seen.append((given[0].shape[2:], out.dtype)))
    in_bfloat16(model, torch.rand(1, 1, 32, 32, 64))
    assert {dtype for voxels, dtype in seen if min(voxels) < 3} == {torch.float32}
    assert {dtype for voxels, dtype in seen if min(voxels) >= 3} == {torch.bfloat16}


class TwoSlices(nn.Module):
    """Logits from a convolution over two slices, which keeps the format of what it computes."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv3d(1, 2, 3, padding=1)
        self.seen = set()

    def forward(self, image):
        coarse = self.convolution(nn.functional.adaptive_avg_pool3d(image, 2))
        self.seen.add((torch.is_autocast_enabled("cpu"), coarse.dtype))
        return nn.functional.interpolate(coarse.float(), size=image.shape[2:])


def test_a_training_in_bfloat16_keeps_them(tmp_path, prepared, small_task):
    run = make_run(tmp_path / "run", small_task, msgspec.structs.replace(RECIPE, precision="bf16-mixed"))
    _, model = train(run, prepared, model=TwoSlices())
    assert (True, torch.float32) in model.seen
    assert (True, torch.bfloat16) not in model.seen


def test_so_does_the_trial_that_chooses_a_precision(small_task):
    model = TwoSlices()
    choose_precision(model, Recipe(batch=2), small_task, ProcessGroup(make_fabric("cpu", "auto")))
    assert model.seen == {(False, torch.float32), (True, torch.float32)}
