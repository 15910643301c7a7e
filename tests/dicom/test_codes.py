"""Every organ of the presets has a code that says what it is, and on which side."""

from __future__ import annotations

import pytest
from bedside.dicom.codes import label_text, segment_code
from bedside.runtime.errors import InputError
from bedside.runtime.task_presets import PRESETS, load_task

LABELS = sorted({label for preset in PRESETS for label in load_task(preset).labels[1:]})
WITHOUT = {"portal_vein_and_splenic_vein", "prostate_or_uterus"}  # two organs in one label: no code means just that


@pytest.mark.parametrize("label", LABELS)
def test_every_organ_of_a_preset_has_a_snomed_code(label):
    organ, _ = segment_code(label)
    assert (organ.scheme_designator == "SCT") == (label not in WITHOUT)


@pytest.mark.parametrize(
    ("label", "value", "meaning", "side"),
    [
        ("spleen", "78961009", "Spleen", None),
        ("kidney_left", "64033007", "Kidney", "Left"),
        ("right kidney", "64033007", "Kidney", "Right"),
        ("adrenal_gland_right", "23451007", "Adrenal gland", "Right"),
        ("inferior_vena_cava", "64131007", "Inferior vena cava", None),
        ("left_ventricle", "87878005", "Left ventricle", None),
        ("parotid_left", "45289007", "Parotid gland", "Left"),
        ("spinal_cord", "2748008", "Spinal cord", None),
        ("myocardium", "49848007", "Left Ventricle Myocardium", None),
        ("left_myocardium", "49848007", "Left Ventricle Myocardium", None),
    ],
)
def test_codes_of_organs(label, value, meaning, side):
    organ, laterality = segment_code(label)
    assert (organ.value, organ.scheme_designator, organ.meaning) == (value, "SCT", meaning)
    assert (laterality.meaning if laterality else None) == side


def test_an_unknown_name_has_a_private_code_with_its_name():
    organ, side = segment_code("a lesion that no dictionary has")
    assert (organ.value, organ.scheme_designator) == ("a lesio_c08dac47", "99BEDSIDE")
    assert organ.meaning == "a lesion that no dictionary has"
    assert side is None


def test_private_codes_of_names_that_begin_alike_differ_and_keep_their_side():
    coded = [segment_code(f"lung_upper_lobe_{side}") for side in ("left", "right")]
    assert len({organ.value for organ, _ in coded}) == 2
    assert {len(organ.value) for organ, _ in coded} == {16}
    assert [side.meaning for _, side in coded if side] == ["Left", "Right"]


@pytest.mark.parametrize(
    ("label", "side"),
    [
        ("liver_1", None),
        ("kidney2", None),
        ("lung right left", None),
        ("right_myocardium", "Right"),
        ("肝 liver", None),
        ("left kidney é", "Left"),
    ],
)
def test_a_name_that_says_more_than_an_organ_has_a_private_code(label, side):
    organ, modifier = segment_code(label)
    assert (organ.value, organ.scheme_designator, organ.meaning) == (label, "99BEDSIDE", label)
    assert (modifier.meaning if modifier else None) == side


def test_the_text_of_a_label_is_as_long_as_dicom_allows():
    assert label_text("liver") == "liver"
    assert label_text("o" * 70) == "o" * 64
    with pytest.raises(InputError, match="no DICOM result holds a backslash"):
        label_text("liver\\vein")
