"""What stands before SAM and after it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from bedside.teacher.selfprompt.volume_adapters import ClassAdapter, ModalityAdapter
from bedside.teacher.simulated_step import LiveMemory

PATCH = (6, 8, 16)


def patches() -> torch.Tensor:
    return torch.rand(2, 1, *PATCH, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("enlarge", "parameters"),
    [
        # Conv 3³ 1→16, the doublings, Conv 32→32, Conv 3² 32→3, norm of three channels
        (4, 28 * 16 + (4 * 16 * 16 + 16) + (4 * 16 * 32 + 32) + 33 * 32 + 9 * 32 * 3 + 6),
        (2, 28 * 16 + (4 * 16 * 32 + 32) + 33 * 32 + 9 * 32 * 3 + 6),
        (1, 28 * 16 + 17 * 32 + 9 * 32 * 3 + 6),
    ],
)
def test_images_have_three_channels_of_mean_0_and_variance_1(enlarge, parameters):
    torch.manual_seed(0)
    model = ModalityAdapter(enlarge, 4)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    with torch.no_grad():
        images = model(patches())
    d, h, w = PATCH
    assert images.shape == (2, d, 3, h * enlarge, w * enlarge)
    torch.testing.assert_close(images.mean(dim=(1, 3, 4)), torch.zeros(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(images.std(dim=(1, 3, 4)), torch.ones(2, 3), atol=0.02, rtol=0)


def test_slices_in_batches_of_any_size_give_the_same_images_and_gradients():
    found = []
    for batch in (1, 5, 12):
        torch.manual_seed(0)
        model = ModalityAdapter(2, batch)
        images = model(patches())
        images.square().mean().mul(images.amax()).backward()
        found.append([images.detach(), *(parameter.grad for parameter in model.parameters())])
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            torch.testing.assert_close(same, one, atol=1e-4, rtol=1e-4)


def test_a_slice_shows_in_the_images_of_its_neighbours():
    torch.manual_seed(0)
    model, x = ModalityAdapter(1, 4), patches()
    changed = x.clone()
    changed[0, :, 3] += torch.rand(8, 16)
    with torch.no_grad():
        before, after = (model.volume(each) for each in (x, changed))
    moved = (after - before).abs().amax(dim=(0, 1, 3, 4)) > 1e-6
    assert moved.tolist() == [False, False, True, True, True, False]


def test_what_is_enlarged_is_not_kept_for_the_gradient():
    torch.manual_seed(0)
    model = ModalityAdapter(4, 2)
    with LiveMemory() as live:
        images = model(patches())
    wide = 2 * 6 * 32 * 64 * 32 * 4  # bytes of all images with 32 channels
    assert live.held < 0.5 * wide
    assert images.requires_grad


def test_classes_are_two_convolutions_with_a_norm_and_a_gelu_between_them():
    torch.manual_seed(0)
    model, masks = ClassAdapter(3), torch.randn(2, 3, *PATCH)
    assert sum(parameter.numel() for parameter in model.parameters()) == 27 * 3 * 12 + 2 * 12 + 13 * 3
    wide = F.conv3d(masks, model.widen.weight, padding=1)
    mean, variance = wide.mean(dim=(2, 3, 4), keepdim=True), wide.var(dim=(2, 3, 4), unbiased=False, keepdim=True)
    hidden = F.gelu((wide - mean) / (variance + 1e-5).sqrt())
    expected = torch.einsum("kc,bcdhw->bkdhw", model.join.weight[:, :, 0, 0, 0], hidden)
    torch.testing.assert_close(model(masks), expected + model.join.bias[:, None, None, None], atol=1e-5, rtol=1e-4)
