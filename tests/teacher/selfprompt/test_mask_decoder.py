"""SAM's prompt encoder and mask decoder for a class in all slices, against segment-anything's own."""

from __future__ import annotations

import pytest
import torch
from bedside.teacher.sam.sizes import find_sam_size
from bedside.teacher.selfprompt.mask_decoder import DepthMaskDecoder, SlicePromptEncoder
from bedside.teacher.selfprompt.prompts import Prompts
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer

NANO = find_sam_size("vit_nano")
DEPTH, H, W = 3, 4, 6


def prompts() -> Prompts:
    """A class that the second of three slices lacks."""
    given = torch.Generator().manual_seed(0)
    return Prompts(
        present=torch.tensor([True, False, True]),
        points=torch.tensor([[0.25, 0.5], [0.0, 0.0], [0.75, 0.125]]),
        corners=torch.tensor([[0.125, 0.25, 0.5, 0.75], [0.0] * 4, [0.5, 0.0, 1.0, 0.25]]),
        masks=torch.randn(3, 1, 4 * H, 4 * W, generator=given),
    )


def test_prompts_are_encoded_as_sam_encodes_a_point_a_box_and_a_mask():
    torch.manual_seed(0)
    ours, sams = SlicePromptEncoder(NANO), PromptEncoder(64, (H, W), (1024, 1024), 16)
    sams.load_state_dict(ours.state_dict())
    given = prompts()
    with torch.no_grad():
        tokens, dense = ours(given, H, W)
        for n in (0, 2):
            point = 1024 * given.points[n].view(1, 1, 2) - 0.5  # SAM adds half a pixel
            box = 1024 * given.corners[n].view(1, 4) - 0.5
            sparse, mask = sams((point, torch.ones(1, 1)), box, given.masks[n : n + 1])
            torch.testing.assert_close(tokens[n : n + 1], sparse, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(dense[n : n + 1], mask, atol=1e-5, rtol=1e-5)
        sparse, nothing = sams((torch.zeros(1, 2, 2), -torch.ones(1, 2)), None, None)
    assert torch.equal(tokens[1:2], sparse)  # two points of label -1, and the one that SAM adds where there is no box
    assert torch.equal(dense[1:2], nothing)


def test_masks_of_another_size_than_four_times_the_tokens_are_interpolated():
    torch.manual_seed(0)
    model, given = SlicePromptEncoder(NANO), prompts()
    smaller = torch.nn.functional.interpolate(given.masks, size=(2 * H, 2 * W), mode="bilinear")
    with torch.no_grad():
        _, dense = model(given, H // 2, W // 2)
        expected = model.mask_downscaling(smaller)
    torch.testing.assert_close(dense[[0, 2]], expected[[0, 2]])


def decoder(depth_mlp: str) -> DepthMaskDecoder:
    torch.manual_seed(0)
    return DepthMaskDecoder(NANO, DEPTH, depth_mlp)


def given() -> tuple[torch.Tensor, ...]:
    torch.manual_seed(1)
    image, position = torch.randn(DEPTH, 64, H, W), torch.randn(1, 64, H, W).expand(DEPTH, -1, -1, -1)
    return image, position, torch.randn(DEPTH, 3, 64), torch.randn(DEPTH, 64, H, W)


def sams_masks(model: DepthMaskDecoder) -> torch.Tensor:
    """SAM's masks of each slice for clear prompts, with the weights of a model."""
    sams = MaskDecoder(transformer_dim=64, transformer=TwoWayTransformer(2, 64, 8, 512), iou_head_hidden_dim=64)
    state = model.state_dict()
    sams.load_state_dict({name: state[name] for name in sams.state_dict()})
    image, position, tokens, dense = given()
    slices = [
        sams(image[n : n + 1], position[:1], tokens[n : n + 1], dense[n : n + 1], multimask_output=False)[0]
        for n in range(DEPTH)
    ]
    return torch.cat(slices)


def test_without_adapters_masks_are_sams():
    model = decoder("none")
    with torch.no_grad():
        masks = model(*given())
        assert masks.shape == (DEPTH, 1, 4 * H, 4 * W)
        torch.testing.assert_close(masks, sams_masks(model), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("depth_mlp", ["fused", "before", "after", "plain"])
def test_with_adapters_masks_start_beside_sams(depth_mlp):
    model = decoder(depth_mlp)
    with torch.no_grad():
        masks, sams = model(*given()), sams_masks(model)
    assert 0 < (masks - sams).abs().max() < 0.05 * sams.abs().max()


@pytest.mark.parametrize(("depth_mlp", "reaches"), [("fused", True), ("plain", False)])
def test_slices_see_each_other_through_depth_mlps(depth_mlp, reaches):
    model = decoder(depth_mlp)
    for name, parameter in model.named_parameters():
        if "adapter" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    image, *others = given()
    changed = image.clone()
    changed[0] += 1
    with torch.no_grad():
        moved = (model(changed, *others) - model(image, *others)).abs().amax(dim=(1, 2, 3)) > 1e-4
    assert moved.tolist() == [True, reaches, reaches]


def test_what_the_mask_does_not_need_is_named():
    model = decoder("fused")
    model(*given()).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert model.unused(name) == (parameter.grad is None), name
    assert sum(model.unused(name) for name, _ in model.named_parameters()) == 6 + 3 * 6
