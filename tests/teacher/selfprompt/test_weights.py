"""SAM's weights in Self-Prompt-SAM, from checkpoints in Meta's format."""

from __future__ import annotations

import logging

import pytest
import torch
from bedside.runtime.errors import InputError
from bedside.teacher import build_teacher
from bedside.teacher.sam.sizes import find_sam_size
from bedside.teacher.sam.whole import sams_shapes
from bedside.teacher.selfprompt.config import SelfPromptConfig
from bedside.teacher.selfprompt.weights import reused_names
from bedside.teacher.simulated_step import parameters_on_meta


def load(state, tmp_path, **options):
    path = tmp_path / "sam.pth"
    torch.save(state, path)
    return build_teacher("self-prompt-sam", num_classes=3, sam="vit_nano", patch=16, checkpoint=path, **options)


def test_every_tensor_of_sam_arrives_unchanged(nano_sam, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="bedside.teacher"):
        ours = load(nano_sam, tmp_path).state_dict()
    for name, tensor in nano_sam.items():
        assert torch.equal(ours[name], tensor), name
    assert f"{len(nano_sam)} of {len(nano_sam)} tensors of SAM reused" in caplog.messages


@pytest.mark.parametrize(("sam", "tensors"), [("vit_b", 314), ("vit_l", 482), ("vit_h", 594)])
@pytest.mark.parametrize("adapter", ["fused", "none"])
def test_all_tensors_of_metas_sizes_have_their_place(sam, tensors, adapter):
    with parameters_on_meta():
        model = SelfPromptConfig(sam=sam, adapter=adapter).build(3, 16)
    state, names = model.state_dict(), reused_names(model)
    assert len(names) == tensors
    assert {names[name]: tuple(state[name].shape) for name in names} == sams_shapes(find_sam_size(sam))


@pytest.mark.parametrize("part", ["image_encoder.pos_embed", "prompt_encoder.not_a_point_embed.weight"])
def test_a_missing_tensor_is_named(part, nano_sam, tmp_path):
    with pytest.raises(InputError, match=f'lacks the tensor "{part}"'):
        load({name: tensor for name, tensor in nano_sam.items() if name != part}, tmp_path)


def test_a_tensor_of_another_shape_is_named(nano_sam, tmp_path):
    state = {**nano_sam, "mask_decoder.mask_tokens.weight": torch.zeros(5, 64)}
    with pytest.raises(InputError, match=r'"mask_decoder.mask_tokens.weight" of shape \(4, 64\) for vit_nano, got'):
        load(state, tmp_path)
