"""Codes of organs in DICOM, from the names of a task's labels."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from ..runtime.errors import InputError

if TYPE_CHECKING:
    from pydicom.sr.coding import Code

_OWN_SCHEME = "99BEDSIDE"  # a private scheme, as PS3.16 wants it named
_LONGEST_VALUE = 16
_LONGEST_TEXT = 64  # of a Long String (PS3.5, 6.2)

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
# Where the side is part of what the organ is, or goes without saying.
_WITH_SIDE: dict[tuple[str, str | None], str] = {
    ("myocardium", None): "LeftVentricleMyocardium",
    ("myocardium", "left"): "LeftVentricleMyocardium",
    ("atrium", "left"): "LeftAtrium",
    ("atrium", "right"): "RightAtrium",
    ("ventricle", "left"): "LeftVentricle",
    ("ventricle", "right"): "RightVentricle",
}
_SIDES = {"left": "Left", "right": "Right"}


def segment_code(label: str) -> tuple[Code, Code | None]:
    """Returns the code of what a label marks, and that of its side.

    Organs whose name is known have SNOMED CT codes; others a code of a private scheme with their name. A name with
    other words, digits or two sides is not known, because what it marks is not the organ, or not all of it.

    Args:
        label: name of the label, such as ``"kidney_left"``.
    """
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    words = [word for word in re.split(r"[\W_]+", label.lower()) if word]
    sides = [word for word in words if word in _SIDES]
    organ = " ".join(sorted(word for word in words if word not in _SIDES))
    side = sides[0] if len(sides) == 1 else None
    modifier = None if side is None else getattr(codes.SCT, _SIDES[side])
    if len(sides) < 2 and (organ, side) in _WITH_SIDE:
        return getattr(codes.SCT, _WITH_SIDE[organ, side]), None
    if len(sides) < 2 and organ in _KEYWORDS:
        return getattr(codes.SCT, _KEYWORDS[organ]), modifier
    return Code(_private_value(label), _OWN_SCHEME, label[:64]), modifier


def label_text(label: str) -> str:
    """Returns a label's name as DICOM holds it: its first 64 characters.

    Raises:
        InputError: it has a backslash, which separates values in DICOM (PS3.5, 6.2).
    """
    if "\\" in label:
        raise InputError(f'label "{label}": no DICOM result holds a backslash; write a .nii.gz, or rename the label')
    return label[:_LONGEST_TEXT]


def _private_value(label: str) -> str:
    """Returns a name as the value of a code; one that is too long is cut, and a hash tells it from others."""
    if len(label) <= _LONGEST_VALUE:
        return label
    digest = hashlib.sha256(label.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{label[: _LONGEST_VALUE - 9]}_{digest}"
