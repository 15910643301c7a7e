"""SAM's image encoder of slices, against segment-anything's own."""

from __future__ import annotations

import torch
from bedside.teacher.sam.sizes import find_sam_size
from bedside.teacher.sam.slice_encoder import SliceEncoder
from segment_anything.modeling.image_encoder import ImageEncoderViT

NANO = find_sam_size("vit_nano")


def sams_encoder(tokens: int = 64) -> ImageEncoderViT:
    return ImageEncoderViT(
        img_size=16 * tokens,
        embed_dim=NANO.width,
        depth=NANO.depth,
        num_heads=NANO.heads,
        out_chans=NANO.neck_width,
        use_rel_pos=True,
        window_size=14,
        global_attn_indexes=NANO.global_blocks,
        norm_layer=lambda width: torch.nn.LayerNorm(width, eps=1e-6),
    )


def test_names_and_shapes_are_sams():
    ours, sams = SliceEncoder(NANO, enlarge=4, batch=1).state_dict(), sams_encoder().state_dict()
    assert {name: tensor.shape for name, tensor in ours.items()} == {
        name: tensor.shape for name, tensor in sams.items()
    }


def test_maps_are_those_of_sams_encoder_on_the_enlarged_slices():
    torch.manual_seed(0)
    ours = SliceEncoder(NANO, enlarge=2, batch=2)
    sams = sams_encoder(tokens=20)
    state = ours.state_dict()
    # As SAM's own family does for other sizes: the position table and, for the global blocks, the relative ones.
    table = state["pos_embed"].permute(0, 3, 1, 2)
    state["pos_embed"] = torch.nn.functional.interpolate(table, (20, 20), mode="bilinear").permute(0, 2, 3, 1)
    for block in NANO.global_blocks:
        for axis in "hw":
            name = f"blocks.{block}.attn.rel_pos_{axis}"
            state[name] = torch.nn.functional.interpolate(state[name].T[None], 39, mode="linear")[0].T
    sams.load_state_dict(state)
    slices = torch.rand(3, 1, 160, 160)
    pixels = torch.nn.functional.interpolate(slices.repeat(1, 3, 1, 1), (320, 320), mode="bilinear")
    with torch.no_grad():
        torch.testing.assert_close(ours(slices), sams(pixels), atol=2e-5, rtol=1e-4)


def test_slices_in_batches_of_any_size_give_the_same_maps():
    slices = torch.rand(5, 1, 16, 32)
    maps = []
    for batch in (1, 2, 8):
        torch.manual_seed(0)
        with torch.no_grad():
            maps.append(SliceEncoder(NANO, enlarge=4, batch=batch)(slices))
    assert maps[0].shape == (5, 64, 4, 8)
    torch.testing.assert_close(maps[1], maps[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(maps[2], maps[0], atol=1e-5, rtol=1e-5)


def test_recomputed_blocks_have_the_same_gradients():
    gradients = []
    for recompute in (False, True):
        torch.manual_seed(0)
        encoder = SliceEncoder(NANO, enlarge=4, batch=2, checkpoint_activations=recompute)
        encoder(torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(1))).square().sum().backward()
        gradients.append([parameter.grad for parameter in encoder.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))
