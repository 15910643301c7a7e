"""The Pareto front of the students, and the advice that follows from it."""

from __future__ import annotations

from datetime import date

import pytest
from bedside.distill.students.front import MeasuredVariant, advice, fastest_variants, front_of, pareto_front
from bedside.distill.students.measured import MeasuredDice, MeasuredTimes, StudentComparison

SIZES = {"tiny": 10, "middle": 20, "large": 30, "slow": 5}


def variant(student: str, milliseconds: float, dice: float) -> MeasuredVariant:
    return MeasuredVariant(student, "openvino", "fp32", milliseconds, dice)


def comparison(data: str, points: dict[str, tuple[float, float]], seeds: int = 2) -> StudentComparison:
    """Returns a comparison of (milliseconds, Dice) in int8; fp32 takes twice as long and has 0.01 more."""
    dice = {
        name: {"int8": MeasuredDice(mean=dice, seeds=seeds), "fp32": MeasuredDice(mean=dice + 0.01, seeds=seeds)}
        for name, (_, dice) in points.items()
    }
    times = {name: {"openvino": {"int8": ms, "fp32": 2 * ms, "bf16": ms / 2}} for name, (ms, _) in points.items()}
    return StudentComparison(
        data=data,
        modality="MR",
        date=date(2026, 11, 28),
        seconds=300.0,
        patch=(48, 64, 48),
        test_cases=40,
        dice=dice,
        times=MeasuredTimes(processor="EPYC", threads=1, milliseconds=times),
    )


HIPPOCAMPUS = comparison("hippocampus", {"tiny": (5, 0.85), "large": (24, 0.86), "slow": (25, 0.8)})
HEADNECK = comparison("headneck", {"tiny": (8, 0.73), "middle": (15, 0.75), "large": (31, 0.71), "slow": (99, 0.1)})


def test_the_front_has_the_points_that_no_other_beats():
    fast, good = variant("fast", 1, 0.7), variant("good", 2, 0.9)
    assert pareto_front([variant("slow", 3, 0.8), variant("equal", 2, 0.85), good, fast]) == [fast, good]


def test_a_student_counts_with_its_fastest_variant_that_has_a_dice():
    fastest = fastest_variants(HIPPOCAMPUS)
    assert fastest["tiny"] == MeasuredVariant("tiny", "openvino", "int8", 5, 0.85)
    assert [each.student for each in front_of(HIPPOCAMPUS)] == ["tiny", "large"]


def test_the_advice_names_the_best_dice_and_the_fastest_of_each_data_set():
    best, fastest, doubt = advice([HEADNECK, HIPPOCAMPUS], SIZES)
    assert best == "For the best Dice take middle on headneck, large on hippocampus."
    expected = "its Dice is lower by 0.020 on headneck, 0.010 on hippocampus."
    assert fastest == f"For speed and a small file take tiny: {expected}"
    assert doubt == "A longer training favours the slow students, which had few steps."


def test_the_smallest_is_of_the_front_and_named_where_it_is_not_the_fastest():
    said = advice([HEADNECK], {**SIZES, "middle": 1})
    assert said[1:3] == [
        "For speed take tiny: its Dice is lower by 0.020.",
        "For a small file take middle.",
    ]


def test_one_seed_is_said_to_show_little():
    said = advice([comparison("headneck", {"tiny": (8, 0.73)}, seeds=1)], {})
    assert said[-1].endswith("few steps, and one seed shows no difference of 0.01.")


@pytest.mark.parametrize("comparisons", [[], [comparison("headneck", {})]])
def test_without_figures_there_is_no_advice(comparisons):
    assert advice(comparisons, SIZES) == []
