"""The folded patch embedding against the explicit path: enlarge, repeat, embed slice by slice, convolve along depth."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from bedside.teacher.autosam.patch_embedding import VolumePatchEmbed, upsampling_matrix

torch.set_num_threads(1)


def explicit_tokens(embed: VolumePatchEmbed, x: torch.Tensor) -> torch.Tensor:
    large = F.interpolate(x, scale_factor=4, mode="trilinear", align_corners=False)
    slices = large[0, 0][:, None].repeat(1, 3, 1, 1)  # [4D, 3, 4H, 4W]
    planes = embed.proj(slices)  # [4D, C, H/4, W/4]
    columns = planes.permute(2, 3, 1, 0).flatten(0, 1)  # [H/4 · W/4, C, 4D]
    tokens = embed.depth_convolution(columns)  # [H/4 · W/4, C, D/4]
    return tokens.unflatten(0, planes.shape[2:]).permute(3, 0, 1, 2)[None]


def test_folded_equals_explicit_path_borders_included():
    torch.manual_seed(0)
    embed = VolumePatchEmbed(8, start_as_sam=False).double()
    x = torch.randn(1, 1, 16, 20, 24, dtype=torch.float64)
    folded, explicit = embed(x), explicit_tokens(embed, x)
    assert folded.shape == (1, 4, 5, 6, 8)
    assert explicit.abs().max() > 0.1
    torch.testing.assert_close(folded, explicit, atol=1e-10, rtol=0)


def test_folded_gradient_of_the_depth_convolution_equals_the_explicit_one():
    torch.manual_seed(0)
    embed = VolumePatchEmbed(4, start_as_sam=True).double()
    x = torch.randn(1, 1, 8, 8, 12, dtype=torch.float64)
    parameters = list(embed.depth_convolution.parameters())
    folded = torch.autograd.grad(embed(x).square().sum(), parameters)
    explicit = torch.autograd.grad(explicit_tokens(embed, x).square().sum(), parameters)
    for ours, theirs in zip(folded, explicit, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)


def test_first_upsampled_pixel_lies_three_eighths_before_the_voxel():
    matrix = upsampling_matrix()
    assert matrix[0].tolist() == [0.375, 0.625, 0, 0, 0, 0]
    assert matrix[15].tolist() == [0, 0, 0, 0, 0.625, 0.375]
    assert torch.equal(matrix.sum(dim=1), torch.ones(16, dtype=torch.float64))


def test_a_flat_volume_starts_as_what_sam_makes_of_one_flat_slice():
    torch.manual_seed(0)
    embed = VolumePatchEmbed(8, start_as_sam=True).double()
    tokens = embed(torch.full((1, 1, 8, 8, 8), 0.5, dtype=torch.float64))
    sam = embed.proj(torch.full((1, 3, 16, 16), 0.5, dtype=torch.float64)).flatten()
    torch.testing.assert_close(tokens, sam.expand_as(tokens), atol=1e-12, rtol=0)
