"""Writes the figures of a sweep: a table for people, one for programs, and a picture of Dice over λ."""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...runtime.errors import MissingExtraError
from ...runtime.files.atomic import atomic_write
from ...training.runs.pictures import new_figure, png
from ...training.scores.signed_rank import FEWEST
from .results import BASELINE, LambdaRow, Spread, SweepResults

MARKDOWN, CSV, PICTURE = "sweep.md", "sweep.csv", "sweep.png"
PAPER = {0.0: 78.54, 0.2: 82.45, 0.5: 83.27, 0.8: 81.14, 1.0: 79.63}
"""λ → mean Dice in % on BTCV of the paper's student SwinUNETR-small (AutoSAM Adapter, Table 4)."""

_log = logging.getLogger("bedside.distill")


def write_report(folder: Path, results: SweepResults) -> None:
    """Writes ``sweep.md``, ``sweep.csv`` and ``sweep.png``; without matplotlib, logs one line and draws nothing.

    Raises:
        ResourceError: a file cannot be written.
    """
    with atomic_write(folder / MARKDOWN) as temporary:
        temporary.write_text(markdown(results), encoding="utf-8")
    with atomic_write(folder / CSV) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(_csv_rows(results))
    try:
        picture = draw(results)
    except MissingExtraError as error:
        _log.warning("no picture of the sweep: %s", error)
        return
    with atomic_write(folder / PICTURE) as temporary:
        temporary.write_bytes(picture)


def markdown(results: SweepResults) -> str:
    """Returns the whole report as Markdown: `summary`, then Dice per organ, 0…1."""
    organs = [
        [organ, *(_shown(row.organs[organ]) if organ in row.organs else "–" for row in results.rows)]
        for organ in results.organs
    ]
    heading = ["organ", *(f"λ = {row.lam:g}" for row in results.rows)]
    return f"# Dice over λ\n\n{summary(results)}\n\n## Dice per organ\n\n{_table(heading, organs)}\n"


def summary(results: SweepResults) -> str:
    """Returns one row per λ and notes on how to read them, as Markdown."""
    rows = [
        [
            f"{row.lam:g}",
            str(len(row.by_seed)),
            _shown(row.dice),
            _figure(row.difference, "+.4f"),
            _figure(row.p, ".4f"),
            _figure(row.p_holm, ".4f"),
            _figure(PAPER.get(row.lam, math.nan) / 100, ".4f"),
        ]
        for row in results.rows
    ]
    heading = ["λ", "seeds", "Dice ± sd", "diff", "p", "Holm p", "paper"]
    return "\n\n".join((_table(heading, rows), "\n".join(_notes(results))))


def draw(results: SweepResults) -> bytes:
    """Returns a picture of mean Dice over λ as PNG, each seed as a dot and their means as a line.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(6.0, 4.0)
    axes = figure.subplots()
    for row in results.rows:
        axes.plot([row.lam] * len(row.by_seed), list(row.by_seed.values()), "o", color="#4363d8", alpha=0.6)
    axes.plot([row.lam for row in results.rows], [row.dice.mean for row in results.rows], "-", color="#4363d8")
    axes.set_xlabel("λ, weight of the true labels")
    axes.set_ylabel(f"mean Dice on {len(results.cases)} {results.case_list} cases")
    axes.set_xlim(-0.05, 1.05)
    return png(figure)


def _notes(results: SweepResults) -> Iterator[str]:
    cases, compared = len(results.cases), sum(not math.isnan(row.p) for row in results.rows)
    yield (
        f"Dice: mean over the organs on {cases} {results.case_list} case{'' if cases == 1 else 's'}, ± standard "
        "deviation over seeds."
    )
    if results.case_list == "validation":
        yield (
            "No test case has a label map: the validation cases also chose each run's best epoch, and its class "
            "offsets where it has any."
        )
    for doubt in results.doubts:
        yield f"{doubt[0].upper()}{doubt[1:]}."
    if any(row.lam == BASELINE for row in results.rows):
        yield (
            "diff: a case's mean Dice, averaged over the seeds that both have, minus that with λ = 1 (no teacher); p: "
            f"Wilcoxon's signed-rank test over the cases, two-sided; Holm p: corrected for {compared} λ."
        )
    else:
        yield "Without a finished run of λ = 1 there is no difference to it."
    if cases < FEWEST:
        least = 2.0 ** (1 - cases)
        yield f"With fewer than {FEWEST} cases no p below 0.05 is possible; with {cases} the least is {least:.4g}."
    yield "paper: SwinUNETR-small on BTCV (AutoSAM Adapter, Table 4): other data, other cases."
    if results.failed:
        yield f"Failed and left out: {', '.join(results.failed)}."


def _csv_rows(results: SweepResults) -> Iterator[Sequence[str]]:
    organs = results.organs
    each = [name for organ in organs for name in (f"dice_{organ}", f"sd_{organ}")]
    yield ("lambda", "seeds", "cases", "list", "dice", "sd", "difference", "p", "p_holm", *each)
    for row in results.rows:
        spreads = [row.dice, *(row.organs.get(organ, Spread(math.nan, math.nan)) for organ in organs)]
        dice, sd, *rest = (_figure(value, ".6g", "") for spread in spreads for value in (spread.mean, spread.deviation))
        tested = [_figure(value, ".6g", "") for value in (row.difference, row.p, row.p_holm)]
        yield (f"{row.lam:g}", *_counts(row, results), dice, sd, *tested, *rest)


def _counts(row: LambdaRow, results: SweepResults) -> tuple[str, str, str]:
    return str(len(row.by_seed)), str(len(results.cases)), results.case_list


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table whose columns are aligned in plain text too; figures stand on the right."""
    widths = [max(len(row[column]) for row in (heading, *rows)) for column in range(len(heading))]
    lines = [heading, ["-" * (width - 1) + ":" if width > 1 else "-:" for width in widths], *rows]
    return "\n".join(
        f"| {' | '.join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))} |" for line in lines
    )


def _shown(spread: Spread) -> str:
    return f"{spread.mean:.4f}" + (f" ± {spread.deviation:.4f}" if math.isfinite(spread.deviation) else "")


def _figure(value: float, form: str, missing: str = "–") -> str:
    return format(value, form) if math.isfinite(value) else missing
