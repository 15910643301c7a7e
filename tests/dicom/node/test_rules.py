"""The first rule that fits a series is taken."""

from __future__ import annotations

import numpy as np
import pytest
from bedside.dicom import open_series
from bedside.dicom.node.rules import Rule, SeriesFacts, first_fitting
from pydicom.dataset import Dataset

from ..written_series import SPACING, STEP, write_series

FACTS = SeriesFacts("CT", "ABDOMEN", "axial", 2.5, (0.7, 0.9))


def rule(name="a", **fields):
    return Rule(name=name, bundle="b", send_to=("pacs",), **fields)


@pytest.mark.parametrize(
    ("fields", "fits"),
    [
        ({}, True),
        ({"modality": "CT"}, True),
        ({"modality": "MR"}, False),
        ({"body_parts": ("abdomen ", "CHEST")}, True),
        ({"body_parts": ("CHEST",)}, False),
        ({"orientation": "axial"}, True),
        ({"orientation": "sagittal"}, False),
        ({"slice_distance_mm": (1, 2.5)}, True),
        ({"slice_distance_mm": (1, 2.4)}, False),
        ({"pixel_mm": (0.7, 0.9)}, True),
        ({"pixel_mm": (0.7, 0.8)}, False),
        ({"pixel_mm": (0.8, 0.9)}, False),
    ],
)
def test_a_rule_fits_by_all_that_it_names(fields, fits):
    assert (first_fitting([rule(**fields)], {"b": "CT"}, FACTS) is not None) == fits


def test_the_first_is_taken_and_the_modality_is_that_of_the_task():
    rules = [rule("mr", modality="MR"), rule("first"), rule("second")]
    taken = first_fitting(rules, {"b": "CT"}, FACTS)
    assert taken is not None
    assert taken.name == "first"
    assert first_fitting(rules[1:], {"b": "MR"}, FACTS) is None


@pytest.mark.parametrize(
    ("row", "column", "plane"),
    [((1, 0, 0), (0, 1, 0), "axial"), ((1, 0, 0), (0, 0, -1), "coronal"), ((0, 1, 0), (0, 0, -1), "sagittal")],
)
def test_facts_are_those_of_the_series(tmp_path, row, column, plane):
    write_series(tmp_path / "ct", row=row, column=column, step=np.cross(row, column) * STEP)
    header = Dataset()
    header.BodyPartExamined = "ABDOMEN"
    facts = SeriesFacts.of(open_series(tmp_path / "ct"), header)
    assert facts == SeriesFacts("CT", "ABDOMEN", plane, pytest.approx(STEP), pytest.approx(SPACING))
