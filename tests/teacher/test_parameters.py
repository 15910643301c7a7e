"""Parameter counts against the figures measured on the authors' modules, and what is allowed to train."""

from __future__ import annotations

import pytest
import torch
from bedside.teacher import build_teacher
from bedside.teacher.autosam import AutoSam
from bedside.teacher.parameters import component_of, count_parameters
from bedside.teacher.sam_weights import reused_names
from bedside.teacher.variants import VARIANTS


def on_meta(**options) -> AutoSam:
    """A teacher without memory behind it: ViT-H costs nothing."""
    with torch.device("meta"):
        return build_teacher("autosam", **options)


@pytest.mark.parametrize("preset", ["paper", "released_code"])
def test_vit_b_with_14_classes_has_115_441_536_parameters_of_which_26_594_944_train(preset):
    counts = count_parameters(on_meta(num_classes=14, preset=preset))
    assert (counts.total, counts.trainable) == (115_441_536, 26_594_944)
    assert counts.frozen == 115_441_536 - 26_594_944


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        ("adapters", 7_220_736),
        ("necks", 7_868_416),
        ("block norms", 36_864),
        ("relative depth tables", 46_336),
        ("depth table", 24_576),
        ("depth convolution", 13_056),
        ("prompt generator", 4_255_232),
        ("mask decoder", 7_129_728),
    ],
)
def test_vit_b_trains_by_component(component, expected):
    assert count_parameters(on_meta(num_classes=14)).components[component] == expected


def test_components_add_up_to_what_trains():
    counts = count_parameters(on_meta(num_classes=14))
    assert sum(counts.components.values()) == counts.trainable


def test_decoder_with_16_classes_has_7_136_640_parameters():
    assert count_parameters(on_meta(num_classes=16)).components["mask decoder"] == 7_136_640


def test_convolutions_adapters_and_norms_with_16_classes_are_the_papers_26_53_million():
    counts = count_parameters(on_meta(num_classes=16))
    tables = counts.components["relative depth tables"] + counts.components["depth table"]
    assert counts.trainable - tables == 26_530_944


@pytest.mark.parametrize(
    ("sam", "total_millions", "trainable_millions"),
    [("vit_b", 104.06, 15.21), ("vit_l", 341.22, 33.89), ("vit_h", 697.73, 61.78)],
)
def test_encoder_size(sam, total_millions, trainable_millions):
    encoder = on_meta(num_classes=14, sam=sam).encoder
    total = sum(p.numel() for p in encoder.parameters())
    trainable = sum(p.numel() for p in encoder.parameters() if p.requires_grad)
    assert (round(total / 1e6, 2), round(trainable / 1e6, 2)) == (total_millions, trainable_millions)


@pytest.mark.parametrize(
    ("sam", "tensors", "reused", "elements"),
    [
        ("vit_b", 177, 171, 88_883_456),
        ("vit_l", 345, 339, 307_425_280),
        ("vit_h", 457, 451, 636_107_520),
    ],
)
def test_reused_tensors(sam, tensors, reused, elements):
    variant = VARIANTS[sam]
    parameters = dict(on_meta(num_classes=2, sam=sam).encoder.named_parameters())
    names = reused_names(variant)
    assert (variant.image_encoder_tensors, variant.reused_tensors) == (tensors, reused)
    assert len(set(names)) == reused
    assert sum(parameters[name].numel() for name in names) == elements


def test_everything_not_taken_from_sam_trains_and_of_sam_only_the_block_norms():
    model = on_meta(num_classes=3, sam="vit_nano", patch=64)
    trains = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    reused = {f"encoder.{name}" for name in reused_names(VARIANTS["vit_nano"])}
    everything = {name for name, _ in model.named_parameters()}
    assert everything - reused <= trains
    assert trains & reused == {name for name in reused if ".norm" in name}


def test_a_parameter_belongs_to_the_component_its_name_tells():
    assert component_of("encoder.blocks.3.adapter.up.weight") == "adapters"
    assert component_of("encoder.blocks.3.attn.qkv.weight") is None


def test_ablations_have_no_idle_parts():
    full = count_parameters(on_meta(num_classes=14))
    without_prompts = count_parameters(on_meta(num_classes=14, apg=False))
    assert full.total - without_prompts.total == 4_255_232
    prompt_only = count_parameters(on_meta(num_classes=14, mlam=False)).components
    assert prompt_only["necks"] == 7_868_416 // 4
    # one head, fusion of 128 + 1 channels, classification
    assert prompt_only["mask decoder"] == 27 * (256 * 128 + 128 * 128 + 129 * 128 + 128 * 14)
