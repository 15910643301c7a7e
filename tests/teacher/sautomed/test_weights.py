"""SAM's weights in 3D-SAutoMed, from checkpoints in Meta's format, written by segment-anything with random weights."""

from __future__ import annotations

import logging
from functools import partial

import pytest
import torch
from bedside.runtime.errors import InputError
from bedside.teacher import build_teacher
from bedside.teacher.sam.sizes import find_sam_size
from bedside.teacher.sam.whole import sams_shapes
from segment_anything import sam_model_registry
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, TwoWayTransformer

NEW = ("mask_tokens", "output_hypernetworks_mlps", "iou_prediction_head")
UNUSED = ("point_embeddings", "not_a_point_embed", "mask_downscaling")


@pytest.fixture(scope="module")
def nano_state() -> dict[str, torch.Tensor]:
    """State of a SAM of the size vit_nano with random weights, its zeros too."""
    torch.manual_seed(0)
    size = find_sam_size("vit_nano")
    encoder = ImageEncoderViT(
        depth=size.depth,
        embed_dim=size.width,
        num_heads=size.heads,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        out_chans=64,
        use_rel_pos=True,
        window_size=14,
        global_attn_indexes=size.global_blocks,
    )
    parts = {
        "image_encoder": encoder,
        "prompt_encoder": PromptEncoder(64, (64, 64), (1024, 1024), 16),
        "mask_decoder": MaskDecoder(
            transformer_dim=64, transformer=TwoWayTransformer(2, 64, 8, 512), iou_head_hidden_dim=64
        ),
    }
    state = {f"{part}.{name}": tensor for part, module in parts.items() for name, tensor in module.state_dict().items()}
    return {name: torch.rand_like(tensor) for name, tensor in state.items()}


def load(state, tmp_path, **options):
    path = tmp_path / "sam.pth"
    torch.save(state, path)
    return build_teacher("3d-sautomed", num_classes=3, sam="vit_nano", patch=16, checkpoint=path, **options)


@pytest.mark.parametrize(("sam", "tensors"), [("vit_b", 314), ("vit_l", 482), ("vit_h", 594)])
def test_a_checkpoint_has_the_names_and_shapes_of_metas_own(sam, tensors):
    with torch.device("meta"):
        metas = sam_model_registry[sam]().state_dict()
    shapes = sams_shapes(find_sam_size(sam))
    assert len(shapes) == tensors
    assert shapes == {name: tuple(tensor.shape) for name, tensor in metas.items()}


def test_every_tensor_arrives_unchanged_but_those_that_depend_on_the_number_of_masks(nano_state, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="bedside.teacher"):
        ours = load(nano_state, tmp_path).state_dict()
    left_out = {name for name in nano_state if any(part in name for part in (*NEW, *UNUSED))}
    for name in nano_state.keys() - left_out:
        assert torch.equal(ours[name.removeprefix("prompt_encoder.")], nano_state[name]), name
    # 65 of the image encoder; 15 of the prompt encoder are not used, nor 1 + 24 + 6 of the mask decoder.
    assert len(left_out) == 15 + 31
    assert f"{len(nano_state) - 46} of {len(nano_state)} tensors of SAM reused" in caplog.messages


def test_lora_changes_sams_encoder_by_little_at_the_start(nano_state, tmp_path):
    model = load({name: 0.1 * tensor for name, tensor in nano_state.items()}, tmp_path)
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
def test_another_tensor_than_sams_is_refused(change, message, nano_state, tmp_path):
    state = {name: tensor.clone() for name, tensor in nano_state.items()}
    change(state)
    with pytest.raises(InputError, match=message):
        load(state, tmp_path)


def test_another_size_is_named(nano_state, tmp_path):
    torch.save(nano_state, tmp_path / "sam.pth")
    with pytest.raises(InputError, match='is SAM vit_nano, but vit_b was asked for; pass sam="vit_nano"'):
        build_teacher("3d-sautomed", num_classes=3, sam="vit_b", patch=16, checkpoint=tmp_path / "sam.pth")


def test_what_wraps_sam_is_taken_off(nano_state, tmp_path):
    wrapped = load({f"module.sam.{name}": tensor for name, tensor in nano_state.items()}, tmp_path)
    assert torch.equal(wrapped.mask_decoder.iou_token.weight, nano_state["mask_decoder.iou_token.weight"])
