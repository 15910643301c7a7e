import pytest
from bedside.runtime import UsageError
from bedside.teacher.autosam_config import AutoSamConfig


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
    ("sam", "checkpoint", "lacks"), [("vit_b", None, True), ("vit_b", "sam.pth", False), ("vit_nano", None, False)]
)
def test_weights_are_missing_where_some_are_published(sam, checkpoint, lacks):
    assert AutoSamConfig(sam=sam, checkpoint=checkpoint).lacks_weights is lacks


def test_the_released_code_needs_its_aggregation():
    with pytest.raises(UsageError, match='mlam=False with preset "released_code" would leave most of the encoder'):
        AutoSamConfig(preset="released_code", mlam=False)
