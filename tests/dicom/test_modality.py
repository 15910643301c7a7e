"""A header's Modality may hold anything, so only DICOM's own terms are shown."""

import pytest
from bedside.dicom.modality import shown_modality


@pytest.mark.parametrize(
    ("modality", "shown"),
    [
        ("CT", "CT"),
        ("RTSTRUCT", "RTSTRUCT"),
        ("", ""),
        ("CANARY^DOE", "another modality"),
        ("ct", "another modality"),
        ("['CT', 'DOE']", "another modality"),
    ],
)
def test_only_terms_of_dicom_are_shown(modality, shown):
    assert shown_modality(modality) == shown
