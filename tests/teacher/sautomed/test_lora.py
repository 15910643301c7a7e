"""LoRA on queries and values."""

from __future__ import annotations

import torch
from bedside.teacher.sam.sizes import find_sam_size
from bedside.teacher.sautomed.lora import LoraBlock, LoraQkv

WIDTH = 6


def test_it_is_the_frozen_layer_plus_the_product_of_two_factors_on_queries_and_values():
    torch.manual_seed(0)
    layer, x = LoraQkv(WIDTH, rank=2).double(), torch.rand(3, WIDTH, dtype=torch.float64)
    weight = layer.weight.clone()
    weight[:WIDTH] += layer.up_q.weight @ layer.down_q.weight
    weight[2 * WIDTH :] += layer.up_v.weight @ layer.down_v.weight
    torch.testing.assert_close(layer(x), x @ weight.T + layer.bias)


def test_keys_are_not_changed():
    torch.manual_seed(0)
    layer, x = LoraQkv(WIDTH), torch.rand(3, WIDTH)
    torch.nn.init.ones_(layer.up_q.weight)
    torch.nn.init.ones_(layer.up_v.weight)
    plain = torch.nn.functional.linear(x, layer.weight, layer.bias)
    assert torch.equal(layer(x)[:, WIDTH : 2 * WIDTH], plain[:, WIDTH : 2 * WIDTH])
    assert (layer(x) - plain)[:, :WIDTH].abs().min() > 0.01


def test_it_starts_beside_the_frozen_layer_and_both_factors_learn():
    torch.manual_seed(0)
    layer, x = LoraQkv(768), torch.randn(32, 768)
    plain = torch.nn.functional.linear(x, layer.weight, layer.bias)
    assert (layer(x) - plain).std() < 0.005 * plain.std()
    layer(x).square().sum().backward()
    for linear in (layer.down_q, layer.up_q, layer.down_v, layer.up_v):
        assert linear.weight.grad.abs().max() > 0


def test_four_factors_of_rank_4_in_vit_b():
    added = sum(p.numel() for name, p in LoraQkv(768).named_parameters() if "_" in name)
    assert added == 4 * 4 * 768


def test_it_moves_the_attention_of_a_block():
    torch.manual_seed(0)
    block, x = LoraBlock(find_sam_size("vit_nano"), 1), torch.randn(1, 4, 4, 96)
    before = block(x)
    torch.nn.init.ones_(block.attn.qkv.up_v.weight)
    assert (block(x) - before).abs().max() > 0.01
    assert {name for name, _ in block.named_parameters() if "_q" in name or "_v" in name} == {
        f"attn.qkv.{way}_{part}.weight" for way in ("up", "down") for part in "qv"
    }
