"""Codes of organs in DICOM, from the names of a task's labels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.sr.coding import Code

_OWN_SCHEME = "99BEDSIDE"  # a private scheme, as PS3.16 wants it named
_LONGEST_VALUE = 16

# Words of a label's name, in alphabetical order and without its side → keyword of the SNOMED CT code in DICOM's own
# dictionary (PS3.16, annex D).
_KEYWORDS = {
    "adrenal gland": "AdrenalGland",
    "aorta": "Aorta",
    "aorta ascending": "AscendingAorta",
    "atrium": "Atrium",
    "bladder": "Bladder",
    "bones": "Bone",
    "brainstem": "BrainStem",
    "cava inferior vena": "InferiorVenaCava",
    "cord spinal": "SpinalCord",
    "duodenum": "Duodenum",
    "esophagus": "Esophagus",
    "gallbladder": "Gallbladder",
    "heart": "Heart",
    "hippocampus": "Hippocampus",
    "kidney": "Kidney",
    "kidneys": "Kidney",
    "liver": "Liver",
    "lung": "Lung",
    "lungs": "Lung",
    "mandible": "Mandible",
    "myocardium": "LeftVentricleMyocardium",
    "pancreas": "Pancreas",
    "parotid": "ParotidGland",
    "gland parotid": "ParotidGland",
    "prostate": "Prostate",
    "artery pulmonary": "PulmonaryArtery",
    "rectum": "Rectum",
    "spleen": "Spleen",
    "stomach": "Stomach",
    "trachea": "Trachea",
    "ventricle": "Ventricle",
}
# Where the side is part of what the organ is.
_WITH_SIDE = {
    ("atrium", "left"): "LeftAtrium",
    ("atrium", "right"): "RightAtrium",
    ("ventricle", "left"): "LeftVentricle",
    ("ventricle", "right"): "RightVentricle",
}
_SIDES = {"left": "Left", "right": "Right"}


def segment_code(label: str) -> tuple[Code, Code | None]:
    """Returns the code of what a label marks, and that of its side.

    Organs whose name is known have SNOMED CT codes; others a code of a private scheme with their name.

    Args:
        label: name of the label, such as ``"kidney_left"``.
    """
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    words = re.findall(r"[a-z]+", label.lower())
    side = next((word for word in words if word in _SIDES), None)
    organ = " ".join(sorted(word for word in words if word not in _SIDES))
    if side is not None and (organ, side) in _WITH_SIDE:
        return getattr(codes.SCT, _WITH_SIDE[organ, side]), None
    if organ in _KEYWORDS:
        return getattr(codes.SCT, _KEYWORDS[organ]), None if side is None else getattr(codes.SCT, _SIDES[side])
    return Code(label[:_LONGEST_VALUE], _OWN_SCHEME, label[:64]), None
