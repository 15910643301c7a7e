"""SAM checkpoints, in SAM's own format: written by segment-anything's image encoder with random weights."""

from __future__ import annotations

import logging
from functools import partial

import pytest
import torch
from bedside.runtime.errors import InputError
from bedside.teacher import build_teacher
from bedside.teacher.sam_weights import detect_variant, reused_names
from bedside.teacher.variants import VARIANTS
from segment_anything.modeling import ImageEncoderViT

torch.set_num_threads(1)


def sam_state(sam: str) -> dict[str, torch.Tensor]:
    """State of SAM with a random image encoder, plus a tensor of its other parts."""
    variant = VARIANTS[sam]
    with torch.device("meta"):
        encoder = ImageEncoderViT(
            depth=variant.depth,
            embed_dim=variant.width,
            num_heads=variant.heads,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=14,
            global_attn_indexes=variant.global_blocks,
        )
    encoder = encoder.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    for parameter in encoder.parameters():
        parameter.data.uniform_(-1, 1, generator=generator)
    state = {f"image_encoder.{name}": tensor for name, tensor in encoder.state_dict().items()}
    return {**state, "prompt_encoder.no_mask_embed.weight": torch.zeros(1, 256)}


@pytest.fixture(scope="module")
def nano_state():
    return sam_state("vit_nano")


def save(state, path):
    torch.save(state, path)
    return path


def load(path, **options):
    return build_teacher("autosam", num_classes=2, sam="vit_nano", patch=32, checkpoint=path, **options)


@pytest.mark.parametrize(
    ("sam", "message"),
    [
        ("vit_b", "171 of 177 image-encoder tensors reused"),
        ("vit_nano", "59 of 65 image-encoder tensors reused"),
    ],
)
def test_every_reused_tensor_arrives_unchanged(sam, message, tmp_path, caplog):
    state = sam_state(sam)
    path = save(state, tmp_path / "sam.pth")
    with caplog.at_level(logging.INFO, logger="bedside.teacher"):
        model = build_teacher("autosam", num_classes=2, sam=sam, patch=32, checkpoint=path)
    assert message in caplog.messages
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    ours = model.encoder.state_dict()
    for name in reused_names(VARIANTS[sam]):
        assert torch.equal(ours[name], state[f"image_encoder.{name}"]), name
    block = model.encoder.blocks[2].attn
    assert torch.equal(block.rel_pos_d, 0.5 * (block.rel_pos_h + block.rel_pos_w))


def test_missing_tensor_is_named(nano_state, tmp_path):
    state = {name: tensor for name, tensor in nano_state.items() if name != "image_encoder.blocks.2.attn.qkv.bias"}
    with pytest.raises(InputError, match=r'lacks the tensor "image_encoder\.blocks\.2\.attn\.qkv\.bias"'):
        load(save(state, tmp_path / "sam.pth"))


def test_tensor_of_another_shape_is_named_with_both_shapes(nano_state, tmp_path):
    state = {**nano_state, "image_encoder.pos_embed": torch.zeros(1, 32, 32, 96)}
    with pytest.raises(InputError, match=r"pos_embed.*\(1, 64, 64, 96\).*\(1, 32, 32, 96\)"):
        load(save(state, tmp_path / "sam.pth"))


def test_nan_in_a_tensor_is_refused(nano_state, tmp_path):
    state = {**nano_state, "image_encoder.patch_embed.proj.bias": torch.full((96,), float("nan"))}
    with pytest.raises(InputError, match=r"patch_embed\.proj\.bias.*NaN"):
        load(save(state, tmp_path / "sam.pth"))


def test_another_variant_is_recognised_and_said(nano_state, tmp_path):
    path = save(nano_state, tmp_path / "sam.pth")
    with pytest.raises(InputError, match=r'is SAM vit_nano, but vit_b was asked for; pass sam="vit_nano"'):
        build_teacher("autosam", num_classes=2, sam="vit_b", patch=32, checkpoint=path)


@pytest.mark.parametrize("sam", list(VARIANTS))
def test_variant_is_detected_from_width_and_blocks(sam):
    variant = VARIANTS[sam]
    tensors = {f"blocks.{block}.norm1.weight": torch.empty(0) for block in range(variant.depth)}
    tensors["patch_embed.proj.weight"] = torch.empty(variant.width, 3, 16, 16, device="meta")
    assert detect_variant(tensors) == variant


def test_state_without_image_encoder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r'no tensor is named "image_encoder\.…"'):
        load(save({"weight": torch.zeros(3)}, tmp_path / "other.pth"))


def test_file_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("code ran",))

    with pytest.raises(InputError, match="cannot be read as a torch checkpoint of plain tensors"):
        load(save({"image_encoder.pos_embed": Evil()}, tmp_path / "evil.pth"))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 broken zip"])
def test_broken_file_is_refused(content, tmp_path):
    path = tmp_path / "broken.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r'"broken\.pth" cannot be read'):
        load(path)


def test_missing_file_says_what_to_download(tmp_path):
    with pytest.raises(InputError, match=r"no SAM checkpoint at .*; download sam_vit_b"):
        load(tmp_path / "sam_vit_b.pth")
