"""The model card gives every variant's figures and says why one failed."""

from __future__ import annotations

import msgspec
import pytest
from bedside.export.model_card import licence_text, model_card
from bedside.runtime import Bundle
from bedside.runtime.bundles.manifest import Manifest


@pytest.fixture
def manifest(bundle_path) -> Manifest:
    with Bundle.open(bundle_path) as bundle:
        return bundle.manifest


def with_int8(manifest: Manifest, **changes: object) -> Manifest:
    fp32, int8 = manifest.variants
    return msgspec.structs.replace(manifest, variants=(fp32, msgspec.structs.replace(int8, **changes)))


def test_it_says_why_a_variant_failed(manifest):
    card = model_card(with_int8(manifest, passed=False, gate_reason="bone: Dice 0.1"))
    assert "- onnxruntime int8: bone: Dice 0.1" in card
    assert card.count("| failed |") == 1


def test_mean_dice_is_that_of_the_organs_and_a_dash_without_gate_cases(manifest):
    card = model_card(with_int8(manifest, dice={"fat": 0.5, "bone": 1.0}))
    assert "| – | – | – | 0.7500 | – |" in card
    assert "| – | – | – | – | – |" in card
    assert "| bone | 1.0000 |" in card


def test_another_licence_than_apache_is_stated_as_given():
    assert licence_text("CC-BY-4.0") == "This model is provided under: CC-BY-4.0\n"
