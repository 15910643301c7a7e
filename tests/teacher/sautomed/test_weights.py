"""SAM's weights in 3D-SAutoMed, from checkpoints in Meta's format, written by segment-anything with random weights."""

from __future__ import annotations

import logging

import pytest
import torch
from bedside.runtime.errors import InputError
from bedside.teacher import build_teacher

NEW = ("mask_tokens", "output_hypernetworks_mlps", "iou_prediction_head")
UNUSED = ("point_embeddings", "not_a_point_embed", "mask_downscaling")


def load(state, tmp_path, **options):
    path = tmp_path / "sam.pth"
    torch.save(state, path)
    return build_teacher("3d-sautomed", num_classes=3, sam="vit_nano", patch=16, checkpoint=path, **options)


def test_every_tensor_arrives_unchanged_but_those_that_depend_on_the_number_of_masks(nano_sam, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="bedside.teacher"):
        ours = load(nano_sam, tmp_path).state_dict()
    left_out = {name for name in nano_sam if any(part in name for part in (*NEW, *UNUSED))}
    for name in nano_sam.keys() - left_out:
        assert torch.equal(ours[name.removeprefix("prompt_encoder.")], nano_sam[name]), name
    # 65 of the image encoder; 15 of the prompt encoder are not used, nor 1 + 24 + 6 of the mask decoder.
    assert len(left_out) == 15 + 31
    assert f"{len(nano_sam) - 46} of {len(nano_sam)} tensors of SAM reused" in caplog.messages


def test_lora_changes_sams_encoder_by_little_at_the_start(nano_sam, tmp_path):
    model = load({name: 0.1 * tensor for name, tensor in nano_sam.items()}, tmp_path)
    x = torch.rand(2, 1, 16, 16)
    with torch.no_grad():
        with_lora = model.image_encoder(x)
        for name, parameter in model.named_parameters():
            if ".qkv.up_" in name:
                parameter.zero_()
        assert (model.image_encoder(x) - with_lora).abs().max() < 0.05 * with_lora.abs().max()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: [state.pop(name) for name in list(state) if not name.startswith("image_encoder.")],
            'has no "prompt_encoder.…", and this teacher needs that part of SAM too',
        ),
        (lambda state: state.pop("mask_decoder.iou_token.weight"), 'lacks the tensor "mask_decoder.iou_token.weight"'),
        (lambda state: state.pop("prompt_encoder.no_mask_embed.weight"), 'lacks the tensor "prompt_encoder.no_mask'),
        (lambda state: state.pop("image_encoder.pos_embed"), 'lacks the tensor "image_encoder.pos_embed"'),
        (
            lambda state: state.update({"mask_decoder.extra.weight": torch.zeros(1)}),
            'SAM vit_nano has no tensor "mask_decoder.extra.weight"',
        ),
        (
            lambda state: state.update({"mask_decoder.mask_tokens.weight": torch.zeros(5, 64)}),
            r'expected "mask_decoder.mask_tokens.weight" of shape \(4, 64\) for vit_nano, got \(5, 64\)',
        ),
        (
            lambda state: state["mask_decoder.iou_token.weight"].fill_(torch.nan),
            '"mask_decoder.iou_token.weight" holds NaN',
        ),
    ],
)
def test_another_tensor_than_sams_is_refused(change, message, nano_sam, tmp_path):
    state = {name: tensor.clone() for name, tensor in nano_sam.items()}
    change(state)
    with pytest.raises(InputError, match=message):
        load(state, tmp_path)


def test_another_size_is_named(nano_sam, tmp_path):
    torch.save(nano_sam, tmp_path / "sam.pth")
    with pytest.raises(InputError, match='is SAM vit_nano, but vit_b was asked for; pass sam="vit_nano"'):
        build_teacher("3d-sautomed", num_classes=3, sam="vit_b", patch=16, checkpoint=tmp_path / "sam.pth")


def test_what_wraps_sam_is_taken_off(nano_sam, tmp_path):
    wrapped = load({f"module.sam.{name}": tensor for name, tensor in nano_sam.items()}, tmp_path)
    assert torch.equal(wrapped.mask_decoder.iou_token.weight, nano_sam["mask_decoder.iou_token.weight"])
