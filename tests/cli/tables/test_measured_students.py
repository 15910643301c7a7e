"""The table of what was measured of the students, and the same as JSON."""

from __future__ import annotations

import pytest
from bedside.cli.tables.measured_students import advice_table, comparisons_record, measured_record, measured_table
from bedside.distill import STUDENTS
from bedside.distill.students.measured import MeasuredDice, measured_students

from ..compared_students import hippocampus_comparison
from ..printed import shown, widest


@pytest.fixture
def comparison():
    return hippocampus_comparison(
        {
            "unet-nano": {
                "fp32": MeasuredDice(mean=0.7123, seeds=1),
                "int8": MeasuredDice(mean=0.7, seeds=2, spread=0.0213),
            },
            "unet-edge-base": {"fp32": MeasuredDice(mean=0.8, seeds=1)},
            "swinunetr-tiny": {"int8": MeasuredDice(mean=0.5, seeds=1)},
        },
        {
            "unet-nano": {"onnxruntime": {"fp32": 40.0}, "openvino": {"fp32": 20.0, "int8": 8.04}},
            "unet-edge-base": {"openvino": {"fp32": 30.0}},
            "swinunetr-tiny": {"openvino": {"int8": 120.0}},
        },
    )


def rows(text):
    return {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}


def test_a_row_has_dice_milliseconds_and_speed_of_the_fastest_variant(comparison, monkeypatch):
    text = shown(measured_table(list(STUDENTS), [comparison]), monkeypatch=monkeypatch)
    found = rows(text)
    assert found["unet-nano"] == ["*0.700", "±0.021", "8.0", "15", "×"]
    assert found["swinunetr-tiny"] == ["0.500", "120", "1.0", "×"]
    assert found["unet-edge-tiny"] == ["–", "–", "–"]
    words = " ".join(text.split())
    assert "fastest variant (openvino fp32, openvino int8)" in words
    assert "40 test cases, after 300 CPU seconds of training on labels alone, 1 to 2 seeds" in words
    assert "a window of the data set's patch, 1 thread of EPYC" in words


def test_students_that_no_other_beats_are_marked(comparison, monkeypatch):
    found = rows(shown(measured_table(list(STUDENTS), [comparison]), monkeypatch=monkeypatch))
    assert {name for name, cells in found.items() if name in STUDENTS and cells[0].startswith("*")} == {
        "unet-nano",
        "unet-edge-base",
    }


def test_what_the_package_ships_fits_into_80_columns(monkeypatch):
    text = shown(measured_table(list(STUDENTS), measured_students()), monkeypatch=monkeypatch)
    assert widest(text) <= 80
    assert "…" not in text


def test_without_the_baseline_there_is_no_speed(comparison, monkeypatch):
    comparison.times.milliseconds.pop("swinunetr-tiny")
    found = rows(shown(measured_table(list(STUDENTS), [comparison]), monkeypatch=monkeypatch))
    assert found["unet-edge-base"] == ["*0.800", "30", "–"]


def test_the_table_names_the_command_that_ranks_students_for_a_device(comparison, monkeypatch):
    text = " ".join(shown(measured_table(list(STUDENTS), [comparison]), monkeypatch=monkeypatch).split())
    words = text.partition("Time on a device: bedside ")[2].partition(" ranks by both")[0]
    assert words.split() == ["plan", "--students", "all", "--device", "DEVICE"]


def test_without_figures_the_table_is_a_sentence():
    assert measured_table(list(STUDENTS), []) == "Dice and time: not measured yet."


def test_advice_is_broken_between_words(monkeypatch):
    sentence = " ".join(["take"] * 40)
    text = shown(advice_table([sentence, "And this."]), monkeypatch=monkeypatch)
    assert widest(text) <= 80
    assert text.split() == [*sentence.split(), "And", "this."]


def test_in_json_a_student_has_all_that_was_measured(comparison):
    assert measured_record("unet-nano", [comparison]) == {
        "dice": {"hippocampus": {"fp32": 0.7123, "int8": 0.7}},
        "milliseconds": {"hippocampus": {"onnxruntime": {"fp32": 40.0}, "openvino": {"fp32": 20.0, "int8": 8.04}}},
        "front": ["hippocampus"],
    }
    assert measured_record("unet-edge-tiny", [comparison]) == {"dice": {}, "milliseconds": {}, "front": []}


def test_in_json_a_comparison_says_what_its_milliseconds_are_of(comparison):
    assert comparisons_record([comparison]) == {
        "comparisons": [str(comparison)],
        "timed_on": {"hippocampus": "1 thread of EPYC"},
    }
