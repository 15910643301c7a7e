"""The tables of students: all rows and their cost."""

from __future__ import annotations

import pytest
from bedside.cli.tables import students
from bedside.cli.tables.students import listed_students, student_table
from bedside.distill import STUDENTS, StudentSpec
from bedside.distill.students.cost import InferenceCost, UnpredictableCostError
from bedside.runtime.axes import DHW
from bedside.training.patch_rule import PatchRule

from ..printed import shown, widest

COST = InferenceCost(parameters=1_234_567, flops=2_345_678_901, activation_bytes=34_567_890)


@pytest.fixture
def costs(monkeypatch):
    """The cost of every student is `COST`; returns what each was asked for."""
    asked = []

    def cost(spec, **given):
        asked.append(given)
        return COST

    monkeypatch.setattr(StudentSpec, "cost", cost)
    return asked


def test_a_student_is_listed_for_the_smallest_patch_it_accepts_that_covers_the_box(costs):
    listed = {each.name: each.patch for each in listed_students(14, DHW(40, 56, 40))}
    assert list(listed) == list(STUDENTS)
    assert listed["unet-edge-fullres-small"] == (40, 56, 40)
    assert listed["swinunetr-tiny"] == (64, 64, 64)
    assert all(given["num_classes"] == 14 for given in costs)


def test_the_table_has_every_student_with_its_cost_in_80_columns(costs, monkeypatch):
    box = DHW(40, 56, 40)
    text = shown(student_table(listed_students(14, box), 14, box), monkeypatch=monkeypatch)
    assert widest(text) <= 80
    assert all(name in text for name in STUDENTS)
    assert "Students: 14 classes, windows of 40×56×40" in text
    (small,) = (line.split() for line in text.splitlines() if line.startswith("unet-edge-fullres-small"))
    assert small[1:6] == ["1,234,567", "2.35", "35", "8,", "16"]
    (larger,) = (line.split() for line in text.splitlines() if line.startswith("swinunetr-small"))
    assert larger[1:6] == ["1,234,567", "2.35*", "35*", "32,", "64"]


def test_a_student_whose_cost_cannot_be_predicted_is_listed_without_one(monkeypatch):
    def unpredictable(spec, **given):
        raise UnpredictableCostError

    monkeypatch.setattr(StudentSpec, "cost", unpredictable)
    listed = listed_students(14)
    assert [each.name for each in listed] == list(STUDENTS)
    assert listed[0].record()["flops"] is None
    text = shown(student_table(listed, 14), monkeypatch=monkeypatch)
    assert "depends on the values in a window" in text
    (line,) = (line.split() for line in text.splitlines() if line.startswith("unet-nano"))
    assert line[1:4] == ["–", "–", "–"]


def test_a_source_is_no_markup(costs, monkeypatch):
    spec = StudentSpec(None, "[bold]Table [3]", PatchRule())
    line = students.ListedStudent("mine", spec, DHW(64, 64, 64), COST)
    assert "[bold]Table [3]" in shown(student_table([line], 2), monkeypatch=monkeypatch)


def test_a_line_in_json_has_exact_numbers_and_the_patch_as_x_y_z():
    spec = StudentSpec(None, "a paper", PatchRule.of_stride(8))
    assert students.ListedStudent("mine", spec, DHW(8, 16, 24), COST).record() == {
        "name": "mine",
        "parameters": 1_234_567,
        "flops": 2_345_678_901,
        "activation_bytes": 34_567_890,
        "patch": [24, 16, 8],
        "patch_multiple": 8,
        "min_longest_edge": 16,
        "source": "a paper",
    }
