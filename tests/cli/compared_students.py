"""A comparison of students, as `benchmarks/students` leaves one."""

from __future__ import annotations

from datetime import date

from bedside.distill.students.measured import MeasuredDice, MeasuredTimes, StudentComparison


def hippocampus_comparison(
    dice: dict[str, dict[str, MeasuredDice]], milliseconds: dict[str, dict[str, dict[str, float]]] | None = None
) -> StudentComparison:
    """Returns a comparison on hippocampus after 300 seconds.

    Args:
        dice: student → precision → Dice.
        milliseconds: student → engine → precision → milliseconds; None for no times.
    """
    return StudentComparison(
        data="hippocampus",
        modality="MR",
        date=date(2026, 11, 28),
        seconds=300.0,
        patch=(48, 64, 48),
        test_cases=40,
        dice=dice,
        times=MeasuredTimes(processor="EPYC", threads=1, milliseconds=milliseconds or {}),
    )
