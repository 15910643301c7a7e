"""Measured figures of students: what the file may hold, and which comparison ranks students for a task."""

from __future__ import annotations

from datetime import date

import pytest
from bedside.distill import STUDENTS
from bedside.distill.students.measured import (
    MeasuredDice,
    MeasuredTimes,
    StudentComparison,
    comparison_for,
    measured_students,
)
from bedside.runtime.errors import FieldError, InputError
from bedside.runtime.task_presets import load_task

TEXT = """
[[comparisons]]
data = "hippocampus"
modality = "MR"
date = 2026-11-28
seconds = 300.0
patch = [48, 64, 48]
test_cases = 40
[comparisons.dice.unet-nano]
fp32 = {mean = 0.81, seeds = 2, spread = 0.01}
int8 = {mean = 0.80, seeds = 2, spread = 0.02}
[comparisons.times]
processor = "EPYC"
threads = 2
[comparisons.times.milliseconds.unet-nano]
openvino = {fp32 = 20.0, int8 = 10.5}
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "measured.toml").write_text(TEXT)
    return tmp_path / "measured.toml"


def named(data: str, modality: str, seconds: float = 300.0) -> StudentComparison:
    given = {"date": date(2026, 11, 28), "patch": (64, 64, 64), "test_cases": 5, "dice": {}}
    given["times"] = MeasuredTimes(processor="EPYC", threads=1, milliseconds={})
    return StudentComparison(data=data, modality=modality, seconds=seconds, **given)


def test_a_comparison_is_read_with_its_data_seconds_and_date(file):
    (comparison,) = measured_students(file)
    assert comparison.of("unet-nano", "int8") == MeasuredDice(mean=0.80, seeds=2, spread=0.02)
    assert str(comparison) == (
        "hippocampus, 40 test cases, after 300 CPU seconds of training on labels alone, 2 seeds, 2026-11-28"
    )


def test_a_comparison_has_its_milliseconds_with_threads_and_processor(file):
    (comparison,) = measured_students(file)
    assert comparison.times.milliseconds == {"unet-nano": {"openvino": {"fp32": 20.0, "int8": 10.5}}}
    assert str(comparison.times) == "2 threads of EPYC"


def test_what_was_not_measured_is_none(file):
    (comparison,) = measured_students(file)
    assert comparison.of("unet-nano", "fp16") is None
    assert comparison.of("swinunetr-tiny", "fp32") is None


def test_the_package_ships_a_file_of_known_students():
    assert all(student in STUDENTS for comparison in measured_students() for student in comparison.dice)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (TEXT.replace("0.81", "81.0"), "mean: expected a Dice from 0 to 1, got 81"),
        (TEXT.replace("date = 2026-11-28", ""), "missing required field `date`"),
        (TEXT.replace("fp32 = {mean = 0.81, seeds = 2", "fp32 = {mean = 0.81, seeds = 0"), "at least 1, got 0"),
        (TEXT.replace("int8 = 10.5", "int8 = 0.0"), "unet-nano, openvino int8: expected more than 0, got 0"),
        (TEXT + "[", "is not valid"),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_field(tmp_path, wrong, message):
    (tmp_path / "measured.toml").write_text(wrong)
    with pytest.raises(InputError, match=message):
        measured_students(tmp_path / "measured.toml")


def test_a_figure_that_is_no_dice_is_refused_in_python_too():
    with pytest.raises(FieldError, match="from 0 to 1"):
        MeasuredDice(mean=float("nan"), seeds=1)


def test_students_are_ranked_by_the_tasks_own_data_set_then_its_modality_then_any():
    neck, mind, abdomen = named("headneck", "CT"), named("hippocampus", "MR", 900.0), named("btcv", "CT")
    btcv = load_task("btcv")
    assert comparison_for(btcv, [neck, mind, abdomen]) is abdomen
    assert comparison_for(btcv, [neck, mind]) is neck
    assert comparison_for(btcv, [mind]) is mind
    assert comparison_for(btcv, []) is None


def test_of_two_comparisons_that_of_the_longer_training_ranks():
    short, long = named("headneck", "CT", 300.0), named("thorax", "CT", 600.0)
    assert comparison_for(load_task("btcv"), [short, long]) is long
