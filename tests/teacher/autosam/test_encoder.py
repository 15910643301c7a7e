"""The 3D image encoder: position, depth axis, stages."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from bedside.teacher.autosam.designs import find_design
from bedside.teacher.autosam.encoder import LayerNorm3d, SpatialAdapter, VolumeEncoder
from bedside.teacher.sam.sizes import find_sam_size
from segment_anything.modeling.common import LayerNorm2d

torch.set_num_threads(1)


def make(patch, *, depth_axis="z", stages=(1, 2, 3, 4), preset="paper") -> VolumeEncoder:
    torch.manual_seed(0)
    variant = find_sam_size("vit_nano")
    return VolumeEncoder(variant, find_design(preset), patch, depth_axis=depth_axis, stages=stages)


def pooled(encoder: VolumeEncoder) -> torch.Tensor:
    """SAM's 64×64 table averaged over 2×2: ``[32, 32, C]``."""
    return encoder.pos_embed[0].unflatten(0, (32, 2)).unflatten(2, (32, 2)).mean(dim=(1, 3))


def test_position_at_128_is_sams_table_averaged_over_2x2():
    encoder = make((128, 128, 128))
    position = encoder.position()
    assert position.shape == (1, 32, 32, 32, 96)
    torch.testing.assert_close(position[0, 7], pooled(encoder))


def test_smaller_patch_takes_the_middle_of_the_table():
    encoder = make((32, 64, 96))
    torch.testing.assert_close(encoder.position()[0, 0], pooled(encoder)[8:24, 4:28])


def test_larger_patch_interpolates_the_table():
    encoder = make((32, 192, 64))
    table = pooled(encoder).permute(2, 0, 1)[None]
    expected = F.interpolate(table, size=(48, 32), mode="bilinear", align_corners=False)[0, :, :, 8:24]
    torch.testing.assert_close(encoder.position()[0, 0], expected.permute(1, 2, 0))


@pytest.mark.parametrize(("preset", "start"), [("paper", 0.0), ("released_code", 1.0)])
def test_depth_table_has_one_row_per_token_and_its_presets_start(preset, start):
    encoder = make((64, 32, 32), preset=preset)
    assert encoder.depth_embed.shape == (1, 16, 96)
    assert encoder.depth_embed.eq(start).all()


def test_depth_table_is_added_along_the_depth_axis():
    encoder = make((64, 32, 32))
    with torch.no_grad():
        encoder.depth_embed[0, 5] = 3.0
    difference = encoder.position()[0, 5] - encoder.position()[0, 4]
    torch.testing.assert_close(difference, torch.full_like(difference, 3.0))


@pytest.mark.parametrize(("depth_axis", "order"), [("y", (1, 0, 2)), ("x", (2, 0, 1))])
def test_depth_axis_turns_the_volume_and_turns_the_maps_back(depth_axis, order):
    patch = (32, 64, 96)
    turned = make(patch, depth_axis=depth_axis)
    upright = make(tuple(patch[axis] for axis in order))
    upright.load_state_dict(turned.state_dict())
    x = torch.rand(1, 1, *patch)
    to_encoder = [0, 1, *(2 + axis for axis in order)]
    with torch.no_grad():
        maps, expected = turned(x), upright(x.permute(to_encoder))
    assert maps[1].shape[2:] == (8, 16, 24)
    for stage, features in maps.items():
        torch.testing.assert_close(features.permute(to_encoder), expected[stage])


def test_stages_lie_after_every_quarter_of_the_blocks_and_only_those_asked_for_are_made():
    x = torch.rand(1, 1, 32, 32, 32)
    encoder = make((32, 32, 32), stages=(2, 4))
    assert list(encoder.necks) == ["2", "4"]
    seen = []
    for number, block in enumerate(encoder.blocks, start=1):
        block.register_forward_hook(lambda *_, number=number: seen.append(number))
    for stage, neck in encoder.necks.items():
        neck.register_forward_hook(lambda *_, stage=stage: seen.append(f"stage {stage}"))
    with torch.no_grad():
        maps = encoder(x)
    assert seen == [1, 2, "stage 2", 3, 4, "stage 4"]
    assert {stage: tuple(features.shape) for stage, features in maps.items()} == dict.fromkeys((2, 4), (1, 64, 8, 8, 8))


def test_even_blocks_shift_their_windows():
    shifts = [attention.shifts for attention in make((64, 64, 32)).attentions()]
    assert shifts == [(4, 4, 0), (0, 0, 0), (4, 4, 0), (0, 0, 0)]


def test_layer_norm_in_3d_is_sams_in_2d():
    torch.manual_seed(0)
    x = torch.randn(2, 6, 4, 5)
    ours, sams = LayerNorm3d(6), LayerNorm2d(6)
    torch.testing.assert_close(ours(x[:, :, None])[:, :, 0], sams(x), atol=1e-5, rtol=0)


def test_paper_adapter_is_the_papers_formula():
    torch.manual_seed(0)
    adapter = SpatialAdapter(8, last_relu=False, start_as_sam=False)
    x = torch.randn(1, 4, 4, 4, 8)
    hidden = (x @ adapter.down.weight.T + adapter.down.bias).clamp(min=0)
    hidden = adapter.convolution(hidden.movedim(-1, 1)).movedim(1, -1).clamp(min=0)
    torch.testing.assert_close(adapter(x), x + hidden @ adapter.up.weight.T + adapter.up.bias)


def test_released_adapter_only_ever_adds():
    torch.manual_seed(0)
    adapter = SpatialAdapter(8, last_relu=True, start_as_sam=False)
    x = torch.randn(1, 4, 4, 4, 8)
    change = adapter(x) - x
    assert change.min() > -1e-6
    assert change.max() > 0.01


def test_paper_adapter_starts_next_to_the_identity():
    torch.manual_seed(0)
    x = torch.randn(1, 8, 8, 8, 96)
    change = SpatialAdapter(96, last_relu=False, start_as_sam=True)(x) - x
    assert 0 < change.abs().max() < 0.05


@pytest.mark.parametrize(("last_relu", "start_as_sam"), [(False, True), (True, False)])
def test_every_layer_gets_a_gradient_from_the_first_step_on(last_relu, start_as_sam):
    torch.manual_seed(0)
    adapter = SpatialAdapter(16, last_relu=last_relu, start_as_sam=start_as_sam)
    adapter(torch.randn(1, 4, 4, 4, 16)).square().sum().backward()
    for name, parameter in adapter.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_adapter_sees_its_neighbours_in_all_three_directions():
    torch.manual_seed(0)
    adapter = SpatialAdapter(64, last_relu=False, start_as_sam=False).double()
    x = torch.randn(1, 5, 5, 5, 64, dtype=torch.float64)
    changed = x.clone()
    changed[0, 2, 2, 2] += 1
    reached = ((adapter(changed) - adapter(x)).abs().amax(dim=-1) > 1e-12)[0]
    inside = torch.zeros(5, 5, 5, dtype=torch.bool)
    inside[1:4, 1:4, 1:4] = True
    assert torch.equal(reached, inside)
