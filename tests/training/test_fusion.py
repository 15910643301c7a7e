"""Blocks with a form for deployment are replaced wherever in a network they are; others stay."""

import torch
from bedside.training.fusion import fused_copy
from torch import nn


class Doubled(nn.Module):
    """Doubles its input by an addition, and once fused by a product."""

    def forward(self, x):
        return x + x

    def fused(self):
        return Product()


class Product(nn.Module):
    def forward(self, x):
        return 2 * x


def test_fusable_blocks_are_replaced_at_every_depth_and_the_original_stays():
    network = nn.Sequential(Doubled(), nn.Sequential(nn.Flatten(), Doubled()))
    fused = fused_copy(network)
    assert [type(fused[0]), type(fused[1][0]), type(fused[1][1])] == [Product, nn.Flatten, Product]
    assert isinstance(network[0], Doubled)
    assert network.training
    assert not fused.training
    assert fused(torch.ones(1, 2)).tolist() == [[4.0, 4.0]]


def test_a_network_may_be_one_fusable_block():
    assert isinstance(fused_copy(Doubled()), Product)


def test_a_network_without_fusable_blocks_is_copied():
    network = nn.Linear(2, 2)
    copied = fused_copy(network)
    assert torch.equal(copied.weight, network.weight)
    assert copied.weight is not network.weight
