"""The model card gives every variant's figures and says why one failed."""

from __future__ import annotations

import msgspec
import pytest
from bedside.export.model_card import licence_text, model_card
from bedside.runtime import Bundle
from bedside.runtime.bundles.figures import (
    BorderProbabilities,
    DiceDrop,
    OverlapPoint,
    Parity,
    SensitiveLayer,
    SpuriousVolume,
    TimedMachine,
)
from bedside.runtime.bundles.manifest import Manifest
from bedside.runtime.task import Intensity, Modality


@pytest.fixture
def manifest(bundle_path) -> Manifest:
    with Bundle.open(bundle_path) as bundle:
        return bundle.manifest


DROP = DiceDrop(mean=0.0012, low=-0.0005, high=0.0030)


def with_int8(manifest: Manifest, **changes: object) -> Manifest:
    fp32, int8 = manifest.variants
    return msgspec.structs.replace(manifest, variants=(fp32, msgspec.structs.replace(int8, **changes)))


def test_it_says_why_a_variant_failed(manifest):
    card = model_card(with_int8(manifest, passed=False, gate_reason="bone: Dice 0.1"))
    assert "- onnxruntime int8 failed at the gate, run only where asked for by name: bone: Dice 0.1" in card
    assert card.count("| failed |") == 1


def test_it_has_the_figures_of_what_was_left_out(manifest):
    fp32, int8 = with_int8(manifest, passed=False, gate_reason="bone: lost", dice={"bone": 0.1}).variants
    card = model_card(msgspec.structs.replace(manifest, variants=(fp32,), left_out=(int8,)))
    assert "- onnxruntime int8 failed at the gate, left out of the bundle: bone: lost" in card
    assert "| onnxruntime int8 | – | – | – | – |" in card
    assert "| onnxruntime int8 | 0.1000 | – | – | – | – | failed |" in card


def test_mean_dice_is_that_of_the_organs_and_a_dash_without_gate_cases(manifest):
    card = model_card(with_int8(manifest, dice={"fat": 0.5, "bone": 1.0}))
    assert "| onnxruntime int8 | 0.7500 | – | – | – | – | – |" in card
    assert "| onnxruntime fp32 | – | – | – | – | – | – |" in card
    assert "| bone | 1.0000 |" in card


def test_losses_have_their_intervals(manifest):
    card = model_card(with_int8(manifest, dice={"fat": 0.5}, dice_drop=DROP, organ_drops={"fat": DROP}))
    assert "| onnxruntime int8 | 0.5000 | +0.0012 (-0.0005 … +0.0030) |" in card
    assert "| fat | 0.5000 [+0.0012 (-0.0005 … +0.0030)] |" in card


def test_organs_that_a_variant_invents_have_their_volume(manifest):
    spurious = {"bone": SpuriousVolume(cases=2, excess_ml=0.25, organ_ml=30.0)}
    assert "| bone | 2 | +0.25 |" in model_card(with_int8(manifest, spurious=spurious))


def test_probabilities_near_borders_are_those_of_each_organ_and_the_worst_counts(manifest):
    borders = {
        "fat": BorderProbabilities(voxels=9, difference=0.012, confidence_shift=0.004, confidence_error=0.06),
        "bone": BorderProbabilities(voxels=9, difference=0.002, confidence_shift=0.001),
    }
    card = model_card(with_int8(manifest, borders=borders))
    assert "| onnxruntime int8 | – | – | 0.0120 | 0.0040 |" in card
    assert "| fat | 0.0120 / 0.0040 / 0.0600 |" in card
    assert "| bone | 0.0020 / 0.0010 / – |" in card


def test_times_name_their_machine_and_what_is_not_worth_it(manifest):
    fp32, int8 = (msgspec.structs.replace(each, ms_per_window=80.0) for each in manifest.variants)
    machine = TimedMachine(identity="0" * 64, cpu="Some CPU", threads=2)
    card = model_card(msgspec.structs.replace(manifest, variants=(fp32, int8), timed_on=machine))
    assert "Times are of Some CPU, CPU threads: 2, unless they name another device; they say nothing about" in card
    assert "- onnxruntime int8 is not worth it: not 5 % faster than onnxruntime fp32" in card


def test_a_time_of_a_gpu_names_it(manifest):
    card = model_card(with_int8(manifest, ms_per_window=1.9, timed_device="CUDA:0, Some GPU, driver 1"))
    assert "| 1.9 (CUDA:0, Some GPU, driver 1) |" in card


def test_layers_kept_out_of_int8_have_their_price(manifest):
    assert "stay in floating point" not in model_card(manifest)
    layers = (
        SensitiveLayer(name="encoder.1.1.0", price=0.609),
        SensitiveLayer(name="head", price=1.25, precision="uint8"),
    )
    card = model_card(msgspec.structs.replace(manifest, sensitive_layers=layers))
    assert "| int8 | encoder.1.1.0 | 61 % |\n| uint8 | head | 125 % |" in card


def test_the_overlaps_are_a_table(manifest):
    curve = (OverlapPoint(overlap=0.25, dice={"fat": 0.5, "bone": 0.7}, windows=12, seconds=3.25),)
    assert "| 0.25 | 0.6000 | 12 | 3.25 |" in model_card(msgspec.structs.replace(manifest, overlap_curve=curve))


def test_limits_name_what_was_not_measured_and_the_least_accurate_organ(manifest):
    fp32, int8 = manifest.variants
    card = model_card(manifest)
    assert "- Gate cases: 0. Fewer than 10 do not show a small loss of an organ." in card
    assert "- Never compared with a person's label map at export: fat, bone." in card
    assert "CT at 3 × 3 × 3 mm: smaller structures are lost. Intensities are clipped to -1000 … 1000 HU." in card
    measured = msgspec.structs.replace(fp32, dice={"fat": 0.75, "bone": 0.5})
    card = model_card(msgspec.structs.replace(manifest, variants=(measured, int8), gate_cases=10))
    assert "The least accurate organ is bone: Dice 0.5000 with onnxruntime fp32." in card
    assert "Never compared" not in card
    assert "Fewer than 10" not in card


@pytest.mark.parametrize(
    ("intensity", "text"),
    [
        ({"clip": (0.5, 99.5), "clip_percentiles": True, "scale_to": (0, 1)}, "0.5 … 99.5 percentiles of the body"),
        ({"clip": (0, 100), "clip_percentiles": True, "standardise": True}, "each scan's own mean"),
    ],
)
def test_limits_say_how_intensities_are_prepared(manifest, intensity, text):
    task = msgspec.structs.replace(manifest.task, modality=Modality.MR, intensity=Intensity(**intensity))
    assert text in model_card(msgspec.structs.replace(manifest, task=task))


def test_teacher_and_training_data_have_their_section(manifest):
    origin = msgspec.structs.replace(manifest.provenance, teacher="big", lam=0.5, data_hash="ab" * 32)
    card = model_card(msgspec.structs.replace(manifest, provenance=origin))
    section = card.partition("## Training data and teacher\n")[2].partition("\n## ")[0]
    assert "| student | toy, distilled from big, λ = 0.5 |" in section
    assert f"| training data (SHA-256) | {'ab' * 32} |" in section
    assert "Other figures are of the epoch whose weights these are" in section  # `Run.best_row`, not the last one


def test_a_lambda_of_0_is_a_fact_too(manifest):
    origin = msgspec.structs.replace(manifest.provenance, teacher="big", lam=0.0)
    assert "| toy, distilled from big, λ = 0 |" in model_card(msgspec.structs.replace(manifest, provenance=origin))


def test_another_licence_than_apache_is_stated_as_given():
    assert licence_text("CC-BY-4.0") == "This model is provided under: CC-BY-4.0\n"


def test_it_says_where_the_gate_is_not_known_to_be_held_out(manifest):
    training = {"epoch": "7", "gate": "the gate scans are not known to be held out", "scans": "1 of 2 are unusual"}
    origin = msgspec.structs.replace(manifest.provenance, training=training, teacher="big-one")
    card = model_card(msgspec.structs.replace(manifest, provenance=origin, gate_cases=1))
    care = "**Read the figures with care:** the gate scans are not known to be held out; 1 of 2 are unusual."
    assert care in card.split("## Gate")[1].split("\n## ")[0]
    assert "\n| gate |" not in card


def test_it_names_the_organs_whose_probabilities_nobody_judged(manifest):
    fp32, int8 = manifest.variants
    parity = Parity(max_abs_probability=0.0, mean_abs_probability=0.0, label_agreement=1.0, patches=1)
    border = BorderProbabilities(voxels=9, difference=0.0, confidence_shift=0.0, confidence_error=None)
    fp32 = msgspec.structs.replace(fp32, parity=parity, borders={"fat": border})
    card = model_card(msgspec.structs.replace(manifest, variants=(fp32, int8)))
    assert "so that no variant's probabilities of them were judged: bone." in card


def test_it_counts_the_scans_that_the_network_learned_from_where_all_are_known(manifest):
    origin = msgspec.structs.replace(manifest.provenance, training={"scans_learned_from": "74"})
    assert "| scans learned from | 74 |" in model_card(msgspec.structs.replace(manifest, provenance=origin))
    assert "scans learned from" not in model_card(manifest)
