"""SAM's image encoder with depth adapters, against segment-anything's own."""

from __future__ import annotations

import pytest
import torch
from bedside.teacher.sam.sizes import find_sam_size
from bedside.teacher.sam.slice_encoder import SliceEncoder
from bedside.teacher.selfprompt.config import SelfPromptConfig
from bedside.teacher.selfprompt.depth_encoder import DepthEncoder, by_slices

NANO = find_sam_size("vit_nano")
DEPTH = 5


def encoder(sam: str = "vit_nano", **options) -> DepthEncoder:
    torch.manual_seed(0)
    return DepthEncoder(find_sam_size(sam), DEPTH, SelfPromptConfig(sam=sam, **options))


def images() -> torch.Tensor:
    return torch.rand(2, DEPTH, 3, 32, 48, generator=torch.Generator().manual_seed(1))


def of_sam(model: DepthEncoder) -> SliceEncoder:
    """SAM's encoder, which `test_slice_encoder.py` compares with segment-anything's, with the weights of a model."""
    sams, state = SliceEncoder(NANO, enlarge=1, batch=4), model.state_dict()
    sams.load_state_dict({name: state[name] for name in sams.state_dict()})
    return sams


def sams_maps(sams: SliceEncoder, slices: torch.Tensor) -> torch.Tensor:
    tokens = sams.embedded(slices)
    for block in sams.blocks:
        tokens = block(tokens)
    return sams.neck(tokens.permute(0, 3, 1, 2))


def test_without_additions_it_is_sams_encoder():
    model = encoder(adapter="none", depth_position=False)
    assert model.state_dict().keys() == of_sam(model).state_dict().keys()
    with torch.no_grad():
        ours = model.embeddings(model(images())[-1])
        torch.testing.assert_close(ours.flatten(0, 1), sams_maps(of_sam(model), images().flatten(0, 1)))


@pytest.mark.parametrize("adapter", ["fused", "before", "after", "plain"])
def test_it_starts_beside_sams_encoder(adapter):
    model = encoder(adapter=adapter)
    with torch.no_grad():
        ours = model.embeddings(model(images())[-1]).flatten(0, 1)
        expected = sams_maps(of_sam(model), images().flatten(0, 1))
    assert 0 < (ours - expected).abs().max() < 0.02 * expected.abs().max()


@pytest.mark.parametrize(("sam", "after"), [("vit_nano", [1, 2, 3, 4]), ("vit_small", [2, 4, 6, 8])])
def test_maps_are_taken_after_each_quarter_of_the_blocks(sam, after):
    model, seen = encoder(sam), []
    for block in model.blocks:
        block.register_forward_hook(lambda _block, _given, out: seen.append(out))
    with torch.no_grad():
        maps = model(images())
    assert all(torch.equal(tokens, seen[number - 1]) for tokens, number in zip(maps, after, strict=True))


@pytest.mark.parametrize("sam", ["vit_b", "vit_l", "vit_h", "vit_small"])
def test_in_sams_larger_sizes_these_are_its_global_blocks(sam):
    size = find_sam_size(sam)
    assert [number + 1 for number in size.global_blocks] == [size.depth // 4 * quarter for quarter in (1, 2, 3, 4)]


def test_slices_in_batches_of_any_size_give_the_same_maps():
    maps = []
    for slices in (1, 3, 10):
        with torch.no_grad():
            maps.append(encoder(slices=slices)(images())[-1])
    torch.testing.assert_close(maps[1], maps[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(maps[2], maps[0], atol=1e-5, rtol=1e-5)


def test_the_depth_table_is_added_to_the_slices_in_their_order():
    model, plain = encoder(adapter="none"), encoder(adapter="none", depth_position=False)
    assert model.depth_table.shape == (DEPTH, 1, 1, NANO.width)
    assert not model.depth_table.any()
    with torch.no_grad():
        model.depth_table[3] = 1.0
        moved = (model(images())[-1] - plain(images())[-1]).abs().amax(dim=(2, 3, 4)) > 1e-3
    assert moved.tolist() == [[False, False, False, True, False]] * 2


def test_no_graph_is_kept_where_nothing_trainable_comes_before():
    model = encoder(adapter="none", depth_position=False).requires_grad_(False)
    maps = model(images())
    assert not any(tokens.requires_grad for tokens in maps)
    model = encoder(depth_position=False)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("blocks.2." in name and "adapter" in name)
    assert [tokens.requires_grad for tokens in model(images())] == [False, False, True, True]


def test_a_step_by_slices_is_the_step_on_each_of_them():
    x = torch.rand(2, 3, 4)
    torch.testing.assert_close(by_slices(lambda part: part.sum(dim=1), x, 2), x.sum(dim=2))
