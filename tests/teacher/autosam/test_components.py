"""What of an AutoSAM Adapter trains, and what it is counted as; the counts themselves are in test_counts.py."""

from __future__ import annotations

import torch
from bedside.teacher import build_teacher
from bedside.teacher.autosam.components import component_of
from bedside.teacher.autosam.network import AutoSam
from bedside.teacher.autosam.weights import reused_names
from bedside.teacher.parameters import ParameterCounts, count_parameters
from bedside.teacher.sam.sizes import SAM_SIZES


def on_meta(**options) -> AutoSam:
    """A teacher without memory behind it: ViT-H costs nothing."""
    with torch.device("meta"):
        return build_teacher("autosam", **options)


def counted(**options) -> ParameterCounts:
    model = on_meta(**options)
    return count_parameters(model, model.config.component)


def test_everything_not_taken_from_sam_trains_and_of_sam_only_the_block_norms():
    model = on_meta(num_classes=3, sam="vit_nano", patch=64, train_encoder=False)
    trains = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    reused = {f"encoder.{name}" for name in reused_names(SAM_SIZES["vit_nano"])}
    everything = {name for name, _ in model.named_parameters()}
    assert everything - reused <= trains
    assert trains & reused == {name for name in reused if ".norm" in name}


def test_an_encoder_that_trains_has_nothing_frozen_and_its_own_component():
    frozen = counted(num_classes=3, sam="vit_nano", patch=64, train_encoder=False)
    all_train = counted(num_classes=3, sam="vit_nano", patch=64)
    assert (frozen.total, frozen.frozen) == (all_train.total, all_train.components["encoder"])
    assert all_train.frozen == 0
    assert all_train.components == {**frozen.components, "encoder": 943_968 - 2 * 4 * 2 * 96}  # SAM's less block norms


def test_a_parameter_belongs_to_the_component_its_name_tells():
    assert component_of("encoder.blocks.3.adapter.up.weight") == "adapters"
    assert component_of("encoder.blocks.3.attn.qkv.weight") is None


def test_ablations_have_no_idle_parts():
    full = counted(num_classes=14)
    without_prompts = counted(num_classes=14, apg=False)
    assert full.total - without_prompts.total == 4_255_232
    prompt_only = counted(num_classes=14, mlam=False).components
    assert prompt_only["necks"] == 7_868_416 // 4
    # one head, fusion of 128 + 1 channels, classification
    assert prompt_only["mask decoder"] == 27 * (256 * 128 + 128 * 128 + 129 * 128 + 128 * 14)
