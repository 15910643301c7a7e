"""The options that families share which take SAM slice by slice."""

from __future__ import annotations

import pytest
from bedside.runtime.errors import UsageError
from bedside.teacher import teacher_config

FAMILIES = pytest.mark.parametrize("name", ["3d-sautomed", "self-prompt-sam"])


@FAMILIES
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"enlarge": 3}, "enlarge: expected 1, 2 or 4, got 3"),
        ({"enlarge": 8}, "enlarge: expected"),
        ({"slices": 0}, "slices: expected a whole number from 1"),
        ({"sam": "vit_x"}, "vit_x"),
        ({"depth_axis": "d"}, "depth_axis: expected"),
        ({"train_encoder": 1}, "train_encoder: expected"),
        ({"checkpoint_activations": "no"}, "checkpoint_activations: expected"),
        ({"checkpoint": 3}, "checkpoint: expected"),
    ],
)
def test_wrong_options_are_refused(name, options, message):
    with pytest.raises(UsageError, match=message):
        teacher_config(name, **options)


@FAMILIES
def test_a_public_size_keeps_sams_weights_and_others_train_whole(name):
    for sam, trains in {"vit_b": False, "vit_l": False, "vit_h": False, "vit_small": True, "vit_nano": True}.items():
        config = teacher_config(name, sam=sam)
        assert (config.trains_encoder, config.lacks_weights, config.encoder) == (trains, not trains, sam)
        assert config.resolved().train_encoder is trains
    assert teacher_config(name, train_encoder=True).trains_encoder
    assert teacher_config(name, sam="vit_nano", train_encoder=False).lacks_weights


@FAMILIES
def test_a_checkpoint_is_all_that_a_frozen_sam_lacks(name, tmp_path):
    assert not teacher_config(name, checkpoint=tmp_path / "sam.pth").lacks_weights


@FAMILIES
def test_titles_name_what_differs_from_the_paper(name):
    options = {"train_encoder": False, "enlarge": 2, "depth_axis": "x", "checkpoint_activations": True}
    title = teacher_config(name, sam="vit_nano", **options).title
    assert title == f"{name} with vit_nano, encoder frozen, enlarged 2×, depth axis x, activations checkpointed"
    assert teacher_config(name, train_encoder=True).title == f"{name} with vit_b, encoder trained"
