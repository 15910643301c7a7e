"""The table of what was measured of the students: Dice, milliseconds, and which of them no other beats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...distill.students.front import fastest_variants, front_of
from .figures import significant

if TYPE_CHECKING:
    from rich.table import Table

    from ...distill.students.front import MeasuredVariant
    from ...distill.students.measured import StudentComparison

_BASELINE = "swinunetr-tiny"  # the AutoSAM Adapter's own student: its speed counts as 1


def measured_table(names: Sequence[str], comparisons: Sequence[StudentComparison]) -> Table | str:
    """Returns the Dice and the speed of each student's fastest variant on each data set; a sentence without any.

    Args:
        names: the students, in the order of the rows.
        comparisons: the comparisons that were made.
    """
    if not comparisons:
        return "Dice and time: not measured yet."
    from rich.table import Table

    table = Table(title="Measured", title_justify="left", box=None, pad_edge=False)
    table.add_column("student", style="bold", no_wrap=True)
    cells: dict[str, list[str]] = {name: [] for name in names}
    for comparison in comparisons:
        for heading in (f"{comparison.data}\nDice", "\nms", "\nspeed"):
            table.add_column(heading, justify="right", no_wrap=True)
        fastest, front = fastest_variants(comparison), {variant.student for variant in front_of(comparison)}
        for name, row in cells.items():
            row += _cells(comparison, fastest.get(name), fastest.get(_BASELINE), name in front)
    for name, row in cells.items():
        table.add_row(name, *row)
    table.caption = _caption(comparisons)
    table.caption_justify = "left"
    return table


def _cells(
    comparison: StudentComparison, variant: MeasuredVariant | None, baseline: MeasuredVariant | None, on_front: bool
) -> list[str]:
    dice = None if variant is None else comparison.of(variant.student, variant.precision)
    if variant is None or dice is None:
        return ["–"] * 3
    spread = "" if dice.spread is None else f" ±{dice.spread:.3f}"
    speed = "–" if baseline is None else f"{significant(baseline.milliseconds / variant.milliseconds, 2)} ×"
    return [f"{'*' * on_front}{dice.mean:.3f}{spread}", significant(variant.milliseconds, 2), speed]


def _caption(comparisons: Sequence[StudentComparison]) -> str:
    variants = [variant for each in comparisons for variant in fastest_variants(each).values()]
    which = ", ".join(sorted({f"{variant.engine} {variant.precision}" for variant in variants}))
    processors = ", ".join(dict.fromkeys(str(each.times) for each in comparisons))
    lines = [
        "* Pareto front: no other student is as fast and has a higher Dice. –: not measured.",
        f"Dice and ms: of each student's fastest variant ({which}).",
        f"ms: a window of the data set's patch, {processors}. speed: {_BASELINE}'s is 1.",
        *map(str, comparisons),
        "Time on a device: bedside plan --students all --device DEVICE ranks by both.",
    ]
    return "\n".join(lines)


def advice_table(sentences: Sequence[str]) -> Table:
    """Returns sentences as a table without lines, which breaks them between words."""
    from rich.table import Table

    table = Table.grid()
    for sentence in sentences:
        table.add_row(sentence)
    return table


def measured_record(student: str, comparisons: Sequence[StudentComparison]) -> dict[str, Any]:
    """Returns what was measured of a student for JSON, nothing of a data set where it was not measured.

    ``dice`` is data set → precision → mean Dice, ``milliseconds`` data set → engine → precision → milliseconds, and
    ``front`` names the data sets on whose Pareto front the student is.
    """
    times = {each.data: each.times.milliseconds.get(student) for each in comparisons}
    return {
        "dice": {
            each.data: {precision: dice.mean for precision, dice in each.dice[student].items()}
            for each in comparisons
            if student in each.dice
        },
        "milliseconds": {data: engines for data, engines in times.items() if engines},
        "front": [each.data for each in comparisons if student in {variant.student for variant in front_of(each)}],
    }


def comparisons_record(comparisons: Sequence[StudentComparison]) -> dict[str, Any]:
    """Returns for JSON what each comparison is, and data set → threads and processor of its milliseconds."""
    return {
        "comparisons": list(map(str, comparisons)),
        "timed_on": {each.data: str(each.times) for each in comparisons},
    }
