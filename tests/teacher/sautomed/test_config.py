"""The options of 3D-SAutoMed."""

from __future__ import annotations

import pytest
from bedside.runtime.errors import UsageError
from bedside.runtime.task_presets import PRESETS
from bedside.teacher import TEACHERS
from bedside.teacher.parameters import count_parameters
from bedside.teacher.sautomed.config import SAutoMedConfig
from bedside.teacher.simulated_step import parameters_on_meta


def test_the_recipe_is_the_papers():
    recipe = TEACHERS.find("3d-sautomed").recipe
    assert (recipe.optimizer, recipe.lr, recipe.weight_decay, recipe.crops_per_step) == ("adamw", 1e-4, 1e-4, 8)


@pytest.mark.parametrize("task", ["btcv", "chaos", "segthor"])
def test_the_papers_tasks_have_patches_that_it_accepts(task):
    patch = PRESETS[task].patch.dhw
    assert SAutoMedConfig.patch_rule.accepts(patch)


def test_titles_name_what_differs_from_the_paper():
    assert SAutoMedConfig().title == "3d-sautomed with vit_b"
    config = SAutoMedConfig(sam="vit_nano", history=False, prompts=False, order="end", train_encoder=False)
    assert config.title == ("3d-sautomed with vit_nano without history and prompts, encoder frozen, from end to end")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "top"}, "order: expected"),
        ({"history": 1}, "history: expected"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        SAutoMedConfig(**options)


def counts(sam: str, **options):
    config = SAutoMedConfig(sam=sam, **options)
    with parameters_on_meta():
        return count_parameters(config.build(14, 64), config.component)


@pytest.mark.parametrize(
    ("sam", "image_encoder", "width", "blocks"),
    [("vit_l", 308_278_272, 1024, 24), ("vit_h", 637_026_048, 1280, 32)],  # of Meta's files
)
def test_only_lora_grows_with_sam(sam, image_encoder, width, blocks):
    found, of_vit_b = counts(sam).components, counts("vit_b").components
    assert counts(sam).total - counts(sam).trainable == image_encoder
    assert found == {**of_vit_b, "LoRA": blocks * 4 * 4 * width}


def test_all_of_vit_nano_trains():
    assert counts("vit_nano").total == counts("vit_nano").trainable == 1_657_640  # as docs/teachers.md says
    assert counts("vit_nano", train_encoder=False).trainable == 670_408


def test_counts_of_vit_b_with_14_classes():
    found = counts("vit_b")
    width = 256
    # Four factors of rank 4 per block; SAM's image encoder has 89,670,912 parameters.
    assert found.components["LoRA"] == 12 * 4 * 4 * 768
    assert found.total - found.trainable == 89_670_912
    attention = 4 * width**2 + 4 * width
    assert found.components["slice sharing"] == 2 * attention + 8 * width**2 + 5 * width + 3 * 2 * width
    mlp = 16 * width**2 + 9 * width
    assert found.components["history"] == 8 * width + mlp + 2 * width
    cross = 2 * width**2 + 2.5 * width  # 128 channels inside
    queries = 2 * 13 * width + 2 * width**2 + width
    assert found.components["box prompt generator"] == queries + 2 * (attention + cross + mlp + 3 * 2 * width)
