"""Pairs of left and right in the label lists that people train with."""

import pytest
from bedside.runtime.labels.sides import find_sides
from hypothesis import given
from hypothesis import strategies as st

TOTALSEGMENTATOR = (
    "spleen", "kidney_right", "kidney_left", "gallbladder", "liver", "stomach", "pancreas", "adrenal_gland_right",
    "adrenal_gland_left", "lung_upper_lobe_left", "lung_lower_lobe_left", "lung_upper_lobe_right",
    "lung_middle_lobe_right", "lung_lower_lobe_right", "esophagus", "trachea", "thyroid_gland", "small_bowel",
    "duodenum", "colon", "urinary_bladder", "prostate", "kidney_cyst_left", "kidney_cyst_right", "sacrum",
    "vertebrae_S1", *(f"vertebrae_L{n}" for n in range(5, 0, -1)), *(f"vertebrae_T{n}" for n in range(12, 0, -1)),
    *(f"vertebrae_C{n}" for n in range(7, 0, -1)), "heart", "aorta", "pulmonary_vein", "brachiocephalic_trunk",
    "subclavian_artery_right", "subclavian_artery_left", "common_carotid_artery_right", "common_carotid_artery_left",
    "brachiocephalic_vein_left", "brachiocephalic_vein_right", "atrial_appendage_left", "superior_vena_cava",
    "inferior_vena_cava", "portal_vein_and_splenic_vein", "iliac_artery_left", "iliac_artery_right", "iliac_vena_left",
    "iliac_vena_right", "humerus_left", "humerus_right", "scapula_left", "scapula_right", "clavicula_left",
    "clavicula_right", "femur_left", "femur_right", "hip_left", "hip_right", "spinal_cord", "gluteus_maximus_left",
    "gluteus_maximus_right", "gluteus_medius_left", "gluteus_medius_right", "gluteus_minimus_left",
    "gluteus_minimus_right", "autochthon_left", "autochthon_right", "iliopsoas_left", "iliopsoas_right", "brain",
    "skull", *(f"rib_left_{n}" for n in range(1, 13)), *(f"rib_right_{n}" for n in range(1, 13)), "sternum",
    "costal_cartilages",
)  # fmt: skip
AMOS = (
    "spleen", "right kidney", "left kidney", "gall bladder", "esophagus", "liver", "stomach", "arota", "postcava",
    "pancreas", "right adrenal gland", "left adrenal gland", "duodenum", "bladder", "prostate/uterus",
)  # fmt: skip
FLARE22 = (
    "liver", "right kidney", "spleen", "pancreas", "aorta", "inferior vena cava", "right adrenal gland",
    "left adrenal gland", "gallbladder", "esophagus", "stomach", "duodenum", "left kidney",
)  # fmt: skip
MONAI_BTCV = (
    "spleen", "rkid", "lkid", "gall", "eso", "liver", "sto", "aorta", "IVC", "veins", "pancreas", "rad", "lad",
)  # fmt: skip
WORD = (
    "Liver", "Spleen", "Kidney_L", "Kidney_R", "Stomach", "Gallbladder", "Esophagus", "Pancreas", "Duodenum", "Colon",
    "Intestine", "Adrenal", "Rectum", "Bladder", "Head_of_femur_L", "Head_of_femur_R",
)  # fmt: skip
ASEG = (
    "Left-Cerebral-White-Matter", "Left-Lateral-Ventricle", "Left-Thalamus", "Left-Caudate", "3rd-Ventricle",
    "4th-Ventricle", "Brain-Stem", "Left-Hippocampus", "CSF", "Left-VentralDC", "Right-Cerebral-White-Matter",
    "Right-Lateral-Ventricle", "Right-Thalamus", "Right-Caudate", "Right-Hippocampus", "Right-VentralDC", "WM-hypo",
)  # fmt: skip
HEAD_AND_NECK = (
    "Brainstem", "SpinalCord", "RightParotid", "LeftParotid", "Esophagus", "Larynx", "Mandible", "Lens_L", "Lens_R",
    "OpticNrv_L", "OpticNrv_R", "Glnd_Submand_L", "Glnd_Submand_R", "OpticChiasm", "A_Carotid_L", "A_Carotid_R",
)  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "pairs"),
    [
        (
            AMOS,
            [("left kidney", "right kidney"), ("left adrenal gland", "right adrenal gland")],
        ),
        (
            FLARE22,
            [("left kidney", "right kidney"), ("left adrenal gland", "right adrenal gland")],
        ),
        (MONAI_BTCV, [("lkid", "rkid"), ("lad", "rad")]),
        (WORD, [("Kidney_L", "Kidney_R"), ("Head_of_femur_L", "Head_of_femur_R")]),
        (
            ASEG,
            [
                (f"Left-{part}", f"Right-{part}")
                for part in (
                    "Cerebral-White-Matter", "Lateral-Ventricle", "Thalamus", "Caudate", "Hippocampus", "VentralDC",
                )
            ],
        ),
        (
            HEAD_AND_NECK,
            [
                ("LeftParotid", "RightParotid"), ("Lens_L", "Lens_R"), ("OpticNrv_L", "OpticNrv_R"),
                ("Glnd_Submand_L", "Glnd_Submand_R"), ("A_Carotid_L", "A_Carotid_R"),
            ],
        ),
        (("right ventricle", "myocardium", "left ventricle"), [("left ventricle", "right ventricle")]),
        (("LV", "MYO", "RV", "LA", "RA"), [("LV", "RV"), ("LA", "RA")]),
        (("esophagus", "heart", "trachea", "aorta"), []),  # SegTHOR
        (("NCR", "ED", "ET"), []),  # BraTS
        (("whole tumor", "tumor core", "enhancing tumor"), []),
    ],
    ids=["amos", "flare22", "monai-btcv", "word", "aseg", "head-and-neck", "acdc", "m&ms", "segthor", "brats", "msd"],
)  # fmt: skip
def test_the_pairs_of_lists_in_use(labels, pairs):
    found = find_sides(("background", *labels))
    assert list(found.pairs) == pairs
    assert found.forbid_mirroring == bool(pairs)


def test_totalsegmentators_117_labels_have_32_pairs_and_no_vertebra_is_among_them():
    assert len(TOTALSEGMENTATOR) == 117
    pairs = find_sides(TOTALSEGMENTATOR).pairs
    assert len(pairs) == 32
    assert all(left.replace("left", "right") == right for left, right in pairs)
    assert ("lung_upper_lobe_left", "lung_upper_lobe_right") in pairs
    assert ("rib_left_12", "rib_right_12") in pairs


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("KidneyLeft", "KidneyRight"),
        ("kidney l", "kidney r"),
        ("L kidney", "R kidney"),
        ("lt_lung", "rt_lung"),
        ("ParotidL", "ParotidR"),
        ("PAROTIDL", "PAROTIDR"),
        ("LKidney", "RKidney"),
        ("Lkidney", "Rkidney"),
        ("KIDNEY_LEFT", "KIDNEY_RIGHT"),
        ("leftkidney", "rightkidney"),
        ("kidneyleft", "kidneyright"),
        ("kidney.left", "kidney.right"),
        ("Kidney (left)", "Kidney (right)"),
        ("kidney_left", "right kidney"),
        ("LeftAtrium", "RightAtrium"),
        ("left atrium", "right atrium"),
        ("hippocampus_lh", "hippocampus_rh"),
        ("ctx-lh-insula", "ctx-rh-insula"),
        ("lung_left_upper", "lung_right_upper"),
        ("Niere links", "Niere rechts"),
        ("linke Niere", "rechte Niere"),
        ("linkes Auge", "rechtes Auge"),
        ("rein gauche", "rein droit"),
        ("riñón izquierdo", "riñón derecho"),
        ("rim esquerdo", "rim direito"),
        ("rene sinistro", "rene destro"),
        ("ren sinister", "ren dexter"),
        ("vänster njure", "höger njure"),
        ("левая почка", "правая почка"),
        ("左肾", "右肾"),
        ("4L", "4R"),
        ("L1_left", "L1_right"),
        ("LUL", "RUL"),
        ("left", "right"),
        ("L-ICA", "R-ICA"),
    ],
)
def test_a_side_is_known_in_any_spelling(left, right):
    assert find_sides(("background", right, "liver", left)).pairs == ((left, right),)


@pytest.mark.parametrize(
    "labels",
    [
        ("liver", "river"),
        ("LIVER", "RIVER"),
        ("lung", "rung"),
        ("rib", "lib"),
        ("renal vein", "lenal vein"),
        ("vertebrae_L1", "vertebrae_L2", "vertebrae_T1"),
        ("left atrium",),
        ("atrial_appendage_left", "aorta"),
        ("left ventricle", "myocardium"),
        ("left kidney", "right lung"),
        ("upper lobe", "lower lobe"),
        ("class_1", "class_2"),
    ],
)
def test_names_that_are_no_pair(labels):
    assert find_sides(("background", *labels)).pairs == ()


def test_a_part_of_the_heart_may_be_mirrored_where_its_counterpart_is_no_label():
    assert not find_sides(("background", "left atrium")).forbid_mirroring


@pytest.mark.parametrize("label", ["kidney_left", "Left-Lateral-Ventricle", "rechte Niere"])
def test_one_side_of_a_paired_organ_alone_is_not_mirrored_for_its_counterpart_would_look_like_it(label):
    found = find_sides(("background", label, "liver"))
    assert (found.pairs, found.single) == ((), (label,))
    assert found.forbid_mirroring


@pytest.mark.parametrize(
    ("labels", "parts"),
    [
        (("LV", "MYO", "RV"), 1),
        (("LV_blood", "RV_blood", "left atrium", "right atrium", "kidney_left", "kidney_right"), 2),
        (("liver_left_lobe", "liver_right_lobe"), 1),
        (("left coronary artery", "right coronary artery"), 1),
        (ASEG, 0),
        (HEAD_AND_NECK, 0),
        (TOTALSEGMENTATOR, 0),
        (MONAI_BTCV, 0),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else str(value),
)
def test_pairs_that_are_parts_of_one_organ_are_told_from_organs_that_the_body_has_twice(labels, parts):
    found = find_sides(labels)
    assert len(found.parts) == parts
    assert set(found.parts) <= set(found.pairs)


def test_words_name_the_pairs_and_count_those_beyond_the_limit():
    found = find_sides(("eye_l", "eye_r", "ear_l", "ear_r", "hip_l", "hip_r"))
    assert found.describe() == "eye_l / eye_r, ear_l / ear_r, hip_l / hip_r"
    assert found.describe(2) == "eye_l / eye_r, ear_l / ear_r … and 1 more"


@given(st.lists(st.text("lrLR left right_1左kidáñé ", max_size=12), unique=True, max_size=8))
def test_whatever_the_names_none_is_in_two_pairs_and_the_lists_order_does_not_matter_to_a_pair(labels):
    pairs = find_sides(labels).pairs
    named = [name for pair in pairs for name in pair]
    assert len(set(named)) == len(named)
    assert set(named) <= set(labels)
    for left, right in pairs:
        assert find_sides((left, right)).pairs == find_sides((right, left)).pairs == ((left, right),)
