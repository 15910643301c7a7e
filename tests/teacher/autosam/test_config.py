from pathlib import Path

import pytest
from bedside.runtime import UsageError
from bedside.teacher.autosam.config import AutoSamConfig


@pytest.mark.parametrize(
    ("parts", "title"),
    [
        ({}, "autosam with vit_b, preset paper"),
        ({"apg": False}, "autosam with vit_b without auto prompt generator, preset paper"),
        ({"apg": False, "mlam": False}, "autosam with vit_b without auto prompt generator and MLAM, preset paper"),
    ],
)
def test_the_title_names_what_is_left_out(parts, title):
    assert AutoSamConfig(**parts).title == title


@pytest.mark.parametrize(
    ("sam", "given", "trains"),
    [
        ("vit_b", None, False),
        ("vit_small", None, True),
        ("vit_nano", None, True),
        ("vit_b", True, True),
        ("vit_nano", False, False),
    ],
)
def test_the_encoder_trains_where_no_weights_are_public_unless_the_option_says_otherwise(sam, given, trains):
    config = AutoSamConfig(sam=sam, train_encoder=given)
    assert config.trains_encoder is trains
    assert config.resolved().train_encoder is trains
    assert config.recorded().options["train_encoder"] is trains


def test_a_checkpoint_of_a_size_of_our_own_is_trained_on_as_well():
    assert AutoSamConfig(sam="vit_nano", checkpoint=Path("nano.pth")).trains_encoder


def test_the_title_names_the_encoder_where_it_departs_from_its_sizes_default():
    assert AutoSamConfig(sam="vit_nano").title == "autosam with vit_nano, preset paper"
    assert AutoSamConfig(train_encoder=True).title == "autosam with vit_b, encoder trained, preset paper"
    frozen = AutoSamConfig(sam="vit_small", train_encoder=False)
    assert frozen.title == "autosam with vit_small, encoder frozen, preset paper"


@pytest.mark.parametrize(
    ("sam", "checkpoint", "train_encoder", "lacks"),
    [
        ("vit_b", None, None, True),
        ("vit_b", "sam.pth", None, False),
        ("vit_b", None, True, False),
        ("vit_nano", None, None, False),
        ("vit_nano", None, False, True),
    ],
)
def test_weights_are_missing_where_random_ones_are_frozen(sam, checkpoint, train_encoder, lacks):
    assert AutoSamConfig(sam=sam, checkpoint=checkpoint, train_encoder=train_encoder).lacks_weights is lacks


def test_an_encoder_trains_or_does_not():
    with pytest.raises(UsageError, match='train_encoder: expected True or False, got "yes"'):
        AutoSamConfig(train_encoder="yes")


def test_the_released_code_needs_its_aggregation():
    with pytest.raises(UsageError, match='mlam=False with preset "released_code" would leave most of the encoder'):
        AutoSamConfig(preset="released_code", mlam=False)
