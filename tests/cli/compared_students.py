"""A comparison of students, as `benchmarks/students` leaves one."""

from __future__ import annotations

from datetime import date

from bedside.distill.students.measured import MeasuredDice, StudentComparison


def hippocampus_comparison(dice: dict[str, dict[str, MeasuredDice]]) -> StudentComparison:
    """Returns a comparison on hippocampus after 300 seconds.

    Args:
        dice: student → precision → Dice.
    """
    return StudentComparison(
        data="hippocampus",
        modality="MR",
        date=date(2026, 11, 28),
        seconds=300.0,
        patch=(48, 64, 48),
        test_cases=40,
        dice=dice,
    )
