"""The options of Self-Prompt-SAM, the rows of its paper's ablation, and its recipe."""

from __future__ import annotations

import pytest
from bedside.runtime.errors import UsageError
from bedside.runtime.task_presets import PRESETS
from bedside.teacher import TEACHERS
from bedside.teacher.parameters import ParameterCounts, count_parameters
from bedside.teacher.selfprompt.config import SelfPromptConfig
from bedside.teacher.simulated_step import parameters_on_meta

from .ablation import ABLATION


def test_the_recipe_is_the_papers_and_nnunets_where_it_is_silent():
    recipe = TEACHERS.find("self-prompt-sam").recipe
    assert (recipe.optimizer, recipe.lr, recipe.momentum, recipe.weight_decay) == ("sgd", 0.01, 0.99, 3e-5)
    assert (recipe.epochs, recipe.steps_per_epoch, recipe.warmup) == (1000, 250, 0)
    assert [recipe.trains_auxiliary_alone(epoch) for epoch in (0, 199, 200, 999)] == [True, True, False, False]
    assert recipe.learning_rate(0) == 0.01
    assert recipe.learning_rate(500) == pytest.approx(0.01 * 0.5**0.9)
    assert (recipe.crops_per_step, recipe.clip) == (2, 12.0)


@pytest.mark.parametrize("task", ["synapse", "acdc"])
def test_the_papers_tasks_have_patches_that_it_accepts(task):
    assert SelfPromptConfig.patch_rule.accepts(PRESETS[task].patch.dhw)


def test_titles_name_what_differs_from_the_paper():
    assert SelfPromptConfig().title == "self-prompt-sam with vit_b"
    config = SelfPromptConfig(sam="vit_nano", train_encoder=False, **ABLATION["S1"])
    assert config.title == (
        "self-prompt-sam with vit_nano without adapters and depth tables and modality adapter and multi-class adapter, "
        "encoder frozen, prompted by stacked convolutions"
    )
    assert SelfPromptConfig(adapter="before").title.endswith(", adapters with the depth MLP before them")
    assert SelfPromptConfig(adapter="plain").title.endswith(", adapters without depth MLP")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adapter": "inside"}, "adapter: expected"),
        ({"generator": "unet"}, "generator: expected"),
        ({"class_adapter": 1}, "class_adapter: expected"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        SelfPromptConfig(**options)


def counts(sam: str, patch: int = 64, **options) -> ParameterCounts:
    config = SelfPromptConfig(sam=sam, **options)
    with parameters_on_meta():
        return count_parameters(config.build(14, patch), config.component)


def adapter(width: int, depth: int) -> int:
    """Parameters of an adapter: a bottleneck of a quarter, and a depth MLP four times as wide as the patch is deep."""
    return 2 * width * width // 4 + width + width // 4 + 2 * 4 * depth**2 + 5 * depth


def test_counts_of_vit_b_with_14_classes():
    found = counts("vit_b")
    # Levels of 128, 64, 32 and 16 channels: laterals from 768, steps between the levels, convolutions, 14 masks each.
    laterals = 769 * 128 + 769 * 64 + (4 * 768 + 1) * 32 + (4 * 768 + 1) * 16 + (4 * 16 + 1) * 16
    ups = 129 * 64 + (4 * 64 + 1) * 32 + (4 * 32 + 1) * 16
    levels = sum(
        27 * (inputs + width) * width + 4 * width for inputs, width in ((128, 128), (128, 64), (64, 32), (32, 16))
    )
    heads = 14 * (129 + 65 + 33 + 17)
    sams_own = 93_735_472  # Meta's sam_vit_b_01ec64.pth without its buffer of random frequencies
    assert found.total - found.trainable == sams_own
    assert found.components == {
        "depth tables": 64 * (768 + 256),
        "modality adapter": 28 * 16 + 65 * 16 + 65 * 32 + 33 * 32 + 27 * 32 + 6,
        "adapters": 12 * 2 * adapter(768, 64) + 2 * 3 * adapter(256, 64),
        "prompt generator": laterals + ups + levels + heads,
        "multi-class adapter": 27 * 14 * 56 + 2 * 56 + 57 * 14,
    }


@pytest.mark.parametrize(
    ("sam", "sams_own", "width", "blocks"),
    [("vit_l", 312_342_832, 1024, 24), ("vit_h", 641_090_608, 1280, 32)],  # of Meta's files, as for ViT-B
)
def test_a_larger_sam_is_kept_whole_and_its_adapters_grow_with_it(sam, sams_own, width, blocks):
    found = counts(sam)
    assert found.total - found.trainable == sams_own
    assert found.components["depth tables"] == 64 * (width + 256)
    assert found.components["adapters"] == blocks * 2 * adapter(width, 64) + 2 * 3 * adapter(256, 64)


def test_of_vit_nano_all_trains_but_the_prompt_encoder_and_unused_heads():
    found, frozen = counts("vit_nano"), counts("vit_nano", train_encoder=False)
    assert (found.total, found.trainable, frozen.trainable) == (2_105_396, 2_068_492, 859_020)  # as docs/teachers.md
    assert found.components.keys() - frozen.components.keys() == {"image encoder", "mask decoder"}


@pytest.mark.parametrize(
    ("row", "components"),
    [
        ("S1", {"prompt generator"}),
        ("S2", {"prompt generator"}),
        *((row, {"prompt generator", "adapters"}) for row in ("S3", "S4", "S5", "S6")),
        ("S7", {"prompt generator", "adapters", "depth tables"}),
        ("S8", {"prompt generator", "adapters", "depth tables", "modality adapter"}),
        ("S9", {"prompt generator", "adapters", "depth tables", "modality adapter", "multi-class adapter"}),
    ],
)
def test_a_row_of_the_ablation_trains_the_parts_that_it_names(row, components):
    assert counts("vit_b", 16, **ABLATION[row]).components.keys() == components


def test_depth_mlps_before_and_after_the_adapter_have_as_many_parameters_as_inside():
    sizes = {row: counts("vit_b", 16, **ABLATION[row]).components["adapters"] for row in ("S3", "S4", "S5", "S6")}
    assert sizes["S4"] == sizes["S5"] == sizes["S6"]
    assert sizes["S6"] - sizes["S3"] == (24 + 6) * (8 * 16**2 + 5 * 16)
