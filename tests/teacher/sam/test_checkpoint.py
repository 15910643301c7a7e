"""SAM checkpoints, in SAM's own format: written by segment-anything's image encoder with random weights."""

from __future__ import annotations

import logging
import random
import re
from functools import partial

import pytest
import torch
from bedside.runtime.errors import InputError
from bedside.teacher import build_teacher
from bedside.teacher.autosam.weights import reused_names
from bedside.teacher.sam.checkpoint import detect_size
from bedside.teacher.sam.sizes import SAM_SIZES
from safetensors.torch import save_file
from segment_anything.modeling import ImageEncoderViT

torch.set_num_threads(1)


def sam_state(sam: str) -> dict[str, torch.Tensor]:
    """State of SAM with a random image encoder, plus a tensor of its other parts."""
    variant = SAM_SIZES[sam]
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
        ("vit_small", "115 of 121 image-encoder tensors reused"),
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
    for name in reused_names(SAM_SIZES[sam]):
        assert torch.equal(ours[name], state[f"image_encoder.{name}"]), name
    block = model.encoder.blocks[2].attn
    assert torch.equal(block.rel_pos_d, 0.5 * (block.rel_pos_h + block.rel_pos_w))


def reused(model) -> dict[str, torch.Tensor]:
    names = reused_names(SAM_SIZES["vit_nano"])
    return {f"image_encoder.{name}": model.encoder.state_dict()[name] for name in names}


def same(state, model) -> bool:
    return all(torch.equal(state[name], tensor) for name, tensor in reused(model).items())


def test_order_of_the_tensors_does_not_matter(nano_state, tmp_path):
    names = list(nano_state)
    random.Random(0).shuffle(names)
    assert names != list(nano_state)
    assert same(nano_state, load(save({name: nano_state[name] for name in names}, tmp_path / "sam.pth")))


WRAPPINGS = {
    "": "",
    "module.": "",
    "_orig_mod.": "",
    "_orig_mod.module.": "",
    "model.": "model.",
    "sam.": "sam.",
    "module.net.sam.": "net.sam.",
    "model/": "model.",
    "state_dict/": "state_dict.",
    "model_state_dict/": "model_state_dict.",
    "state_dict/model.": "state_dict.model.",
    "checkpoint/model/module.": "checkpoint.model.",
}


@pytest.mark.parametrize(("wrapping", "told"), WRAPPINGS.items())
def test_what_training_scripts_wrap_around_the_tensors_is_taken_off(nano_state, wrapping, told, tmp_path, caplog):
    *dictionaries, prefix = wrapping.split("/")
    state = {f"{prefix}{name}": tensor for name, tensor in nano_state.items()}
    for key in reversed(dictionaries):
        state = {key: state, "epoch": 3, "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}}}
    with caplog.at_level(logging.INFO, logger="bedside.teacher"):
        assert same(nano_state, load(save(state, tmp_path / "sam.pth")))
    assert (f'the tensors of "sam.pth" are those of a SAM under "{told}"' in caplog.messages) == bool(told)


@pytest.mark.parametrize("wrapper", ["_orig_mod", "module"])
def test_a_wrapper_around_a_part_of_the_network_is_taken_off(nano_state, wrapper, tmp_path):
    state = {name.replace("image_encoder.", f"image_encoder.{wrapper}."): value for name, value in nano_state.items()}
    assert same(nano_state, load(save(state, tmp_path / "sam.pth")))


def test_tensors_beside_the_image_encoder_do_not_matter(nano_state, tmp_path):
    """SAM-HQ has more of a mask decoder, MedSAM's training a prompt encoder and an optimiser."""
    others = ("mask_decoder.hf_token.weight", "prompt_encoder.no_mask_embed.weight", "my_image_encoder.x")
    state = {**nano_state, **{name: torch.zeros(2) for name in others}}
    assert same(nano_state, load(save({"model": state, "optimizer": {"lr": 0.1}}, tmp_path / "sam.pth")))


def test_several_image_encoders_in_one_file_are_refused_by_name(nano_state, tmp_path):
    state = {"model": nano_state, "ema": nano_state}
    with pytest.raises(
        InputError, match=r'several image encoders \("ema\.image_encoder\." and "model\.image_encoder\."\)'
    ):
        load(save(state, tmp_path / "sam.pth"))


def test_dictionaries_without_end_are_no_checkpoint(tmp_path):
    state = {}
    state["model"] = state
    with pytest.raises(InputError, match="is not a SAM checkpoint"):
        load(save(state, tmp_path / "sam.pth"))


def test_safetensors_copy_is_read(nano_state, tmp_path):
    path = tmp_path / "sam.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in nano_state.items()}, path)
    assert same(nano_state, load(path))


def test_half_precision_copy_is_read(nano_state, tmp_path):
    model = load(save({name: tensor.half() for name, tensor in nano_state.items()}, tmp_path / "sam.pth"))
    assert model.encoder.pos_embed.dtype == torch.float32
    assert torch.equal(model.encoder.pos_embed, nano_state["image_encoder.pos_embed"].half().float())


@pytest.mark.parametrize("name", ["blocks.2.attn.qkv.bias", "pos_embed", "blocks.1.attn.rel_pos_w", "neck.2.weight"])
def test_missing_tensor_is_named(nano_state, name, tmp_path):
    state = {key: tensor for key, tensor in nano_state.items() if key != f"image_encoder.{name}"}
    message = f'"sam.pth" lacks the tensor "image_encoder.{name}" of SAM vit_nano; download Meta\'s own file'
    with pytest.raises(InputError, match=re.escape(message)):
        load(save(state, tmp_path / "sam.pth"))


def test_foreign_tensor_is_named(nano_state, tmp_path):
    state = {**nano_state, "image_encoder.blocks.0.Space_Adapter.D_fc1.weight": torch.zeros(2)}
    with pytest.raises(InputError, match=r'SAM vit_nano has no tensor "image_encoder\.blocks\.0\.Space_Adapter'):
        load(save(state, tmp_path / "sam.pth"))


def test_tensors_of_two_layers_that_changed_places_are_refused_where_their_shapes_differ(nano_state, tmp_path):
    lin1, lin2 = (f"image_encoder.blocks.3.mlp.{name}.weight" for name in ("lin1", "lin2"))
    state = {**nano_state, lin1: nano_state[lin2], lin2: nano_state[lin1]}
    with pytest.raises(InputError, match=r"blocks\.3\.mlp\.lin1\.weight.*\(384, 96\).*got \(96, 384\)"):
        load(save(state, tmp_path / "sam.pth"))


def test_hugging_faces_format_is_recognised_and_said(tmp_path):
    state = {"vision_encoder.pos_embed": torch.zeros(1, 64, 64, 96), "shared_image_embedding.weight": torch.zeros(2)}
    with pytest.raises(InputError, match=r"Hugging Face's format; download Meta's own file \(sam_vit_b_01ec64\.pth"):
        load(save(state, tmp_path / "model.pth"))


@pytest.mark.parametrize("sam", ["vit_l", "vit_h"])
def test_a_larger_sam_is_recognised_by_name(sam, tmp_path):
    variant = SAM_SIZES[sam]
    state = {f"image_encoder.{name}": torch.zeros(1) for name in reused_names(variant)}
    state["image_encoder.patch_embed.proj.weight"] = torch.zeros(variant.width, 3, 1, 1)
    with pytest.raises(InputError, match=f'is SAM {sam}, but vit_nano was asked for; pass sam="{sam}"'):
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


@pytest.mark.parametrize("sam", list(SAM_SIZES))
def test_variant_is_detected_from_width_and_blocks(sam):
    variant = SAM_SIZES[sam]
    tensors = {f"image_encoder.blocks.{block}.norm1.weight": torch.empty(0) for block in range(variant.depth)}
    tensors["image_encoder.patch_embed.proj.weight"] = torch.empty(variant.width, 3, 16, 16, device="meta")
    assert detect_size(tensors) == variant


def test_state_without_image_encoder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r'no tensor is named "image_encoder\.…"'):
        load(save({"weight": torch.zeros(3)}, tmp_path / "other.pth"))


def test_file_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("code ran",))

    told = (
        r"plain tensors: it holds Python objects \(.*print\), which could run code; save its tensors alone, or download"
    )
    with pytest.raises(InputError, match=told) as refusal:
        load(save({"image_encoder.pos_embed": Evil()}, tmp_path / "evil.pth"))
    assert str(refusal.value).isprintable()
    assert "\\x1b" not in str(refusal.value)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 broken zip"])
def test_broken_file_is_refused(content, suffix, tmp_path):
    path = tmp_path / f"broken.{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf'"broken\.{suffix}" cannot be read.*; download Meta'):
        load(path)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
def test_truncated_file_is_refused(nano_state, share, tmp_path):
    path = save(nano_state, tmp_path / "sam.pth")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=r'"sam\.pth" cannot be read as a checkpoint of plain tensors'):
        load(path)


def test_one_flipped_bit_in_a_weight_is_noticed(nano_state, tmp_path):
    path = save(nano_state, tmp_path / "sam.pth")
    whole = bytearray(path.read_bytes())
    whole[whole.index(nano_state["image_encoder.pos_embed"].numpy().tobytes()) + 2] ^= 1
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r'"sam\.pth" is damaged: a checksum inside does not match; download it again'):
        load(path)


def test_every_refusal_is_one_line(nano_state, tmp_path):
    for state in ({}, [1, 2], {"a": 1}, {**nano_state, "image_encoder.pos_embed": torch.zeros(1, 64, 64, 96).long()}):
        with pytest.raises(InputError) as refusal:
            load(save(state, tmp_path / "sam.pth"))
        assert "\n" not in str(refusal.value)
        assert "; download Meta's own file" in str(refusal.value)


def test_missing_file_says_what_to_download(tmp_path):
    with pytest.raises(InputError, match=r"no SAM checkpoint at .*; download sam_vit_b"):
        load(tmp_path / "sam_vit_b.pth")
