"""Every organ of the presets has a code that says what it is, and on which side."""

from __future__ import annotations

import pytest
from bedside.dicom.codes import segment_code
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
    ],
)
def test_codes_of_organs(label, value, meaning, side):
    organ, laterality = segment_code(label)
    assert (organ.value, organ.scheme_designator, organ.meaning) == (value, "SCT", meaning)
    assert (laterality.meaning if laterality else None) == side


def test_an_unknown_name_has_a_private_code_with_its_name():
    organ, side = segment_code("a lesion that no dictionary has")
    assert (organ.value, organ.scheme_designator) == ("a lesion that no", "99BEDSIDE")
    assert organ.meaning == "a lesion that no dictionary has"
    assert side is None
