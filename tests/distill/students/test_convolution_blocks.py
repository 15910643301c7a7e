"""Blocks fuse into single convolutions that compute the same, to rounding of float64."""

import pytest
import torch
from bedside.distill.students.convolution_blocks import ConvolutionBlock, ResidualBlock
from torch import nn


def used(module):
    """The module after three training passes, in evaluation mode and float64: its statistics are no initial ones."""
    torch.manual_seed(0)
    module = module.double()
    for _ in range(3):
        module(torch.randn(2, 8, 6, 5, 7, dtype=torch.float64))
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm3d):
            nn.init.normal_(norm.weight, 1.0, 0.5)
            nn.init.normal_(norm.bias)
    return module.eval()


@pytest.mark.parametrize("activation", [True, False])
@pytest.mark.parametrize("branches", [True, False])
@pytest.mark.parametrize(("after", "stride"), [(8, 1), (8, 2), (16, 1), (16, 2)])
def test_a_fused_block_is_one_convolution_that_computes_the_same(after, stride, branches, activation):
    block = used(ConvolutionBlock(8, after, stride=stride, branches=branches, activation=activation))
    fused = block.fused().eval()
    assert [type(module) for module in fused] == [nn.Conv3d, nn.LeakyReLU if activation else nn.Identity]
    image = torch.randn(1, 8, 6, 5, 7, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(fused(image), block(image), rtol=1e-5, atol=1e-12)


def test_the_identity_is_a_branch_only_between_equal_sizes():
    assert ConvolutionBlock(8, 8, branches=True).identity is not None
    assert ConvolutionBlock(8, 8, stride=2, branches=True).identity is None
    assert ConvolutionBlock(8, 16, branches=True).identity is None
    assert ConvolutionBlock(8, 8).identity is None


def test_a_block_of_branches_trains_more_convolutions_than_it_is_deployed_with():
    block = ConvolutionBlock(8, 8, branches=True)
    assert [tuple(each.weight.shape) for each in block.convolutions] == [(8, 8, 3, 3, 3), (8, 8, 1, 1, 1)]
    assert sum(each.numel() for each in block.fused().parameters()) == 8 * 8 * 27 + 8


def test_a_residual_block_whose_convolutions_are_zero_passes_what_is_positive():
    block = ResidualBlock(8).eval()
    nn.init.zeros_(block.second.convolutions[0].weight)
    image = torch.tensor([2.0, -2.0]).repeat(4).view(1, 8, 1, 1, 1)
    with torch.no_grad():
        assert block(image).flatten()[:2].tolist() == pytest.approx([2.0, -0.2])
