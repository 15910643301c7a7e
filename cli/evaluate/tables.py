"""The scores, and a comparison of two models, as tables of 80 columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.table import Table

from ...training.scores.comparison import Comparison, Difference, Metric
from ...training.scores.signed_rank import FEWEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...training.scores.evaluation import Evaluation

_DECIMALS = {Metric.DICE: 4, Metric.NSD: 4, Metric.HD95: 2}
_TITLES = {Metric.DICE: "Dice", Metric.NSD: "NSD", Metric.HD95: "HD95 in mm, less is better"}
_SIGNIFICANT = 0.05


def score_table(evaluation: Evaluation) -> Table:
    """Returns one row per organ and one for the mean over the organs."""
    count, mm = len(evaluation.cases), f"{evaluation.tolerance_mm:g}"
    table = _table(f"{count} case{'s' if count != 1 else ''}, NSD at {mm} mm tolerance, HD95 in mm")
    for heading in ("Dice", "NSD", "HD95", "volume", "cases", "missed", "spurious"):
        table.add_column(heading, justify="right", no_wrap=True)  # a narrow terminal folds names, never cuts figures
    organs = evaluation.organs
    for organ in organs:
        scores = _shown(organ.dice, 4), _shown(organ.nsd, 4), _shown(organ.hd95, 2)
        counts = str(organ.cases), str(organ.missed), str(organ.spurious)
        table.add_row(organ.name, *scores, _percent(organ.volume), *counts)
    table.add_section()
    mean = evaluation.mean
    missed, spurious = sum(organ.missed for organ in organs), sum(organ.spurious for organ in organs)
    scores = _shown(mean.dice, 4), _shown(mean.nsd, 4), _shown(mean.hd95, 2)
    table.add_row("mean over organs", *scores, "", "", str(missed), str(spurious))
    return table


def comparison_tables(comparison: Comparison, other: str) -> Iterator[Table | str]:
    """Yields one table per metric, then notes on how to read them.

    Args:
        comparison: what to show.
        other: name of the file with the other model's scores.
    """
    for metric, rows in comparison.metrics.items():
        title = _TITLES[metric] if metric is not Metric.NSD else f"NSD at {comparison.tolerance_mm:g} mm"
        yield _comparison_table(rows, f"{title}: against {other}", _DECIMALS[metric])
    yield from _remarks(comparison)


def _comparison_table(rows: Sequence[Difference], title: str, decimals: int) -> Table:
    table = _table(title)
    for heading in ("n", "other", "diff", "+/−", "p", "Holm p", "better"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        last = row is rows[-1]
        if last:
            table.add_section()
        difference = f"{row.difference:+.{decimals}f}" if math.isfinite(row.difference) else "–"
        p = row.p if last else row.p_holm
        better = (row.favours or "–") + (" *" if p < _SIGNIFICANT else "")
        counts = f"{row.better}/{row.worse}"
        figures = _shown(row.other, decimals), difference, counts, _shown(row.p, 4), _shown(row.p_holm, 4)
        table.add_row("mean over cases" if last else row.organ, str(row.pairs), *figures, better)
    return table


def _remarks(comparison: Comparison) -> Iterator[str]:
    hd95 = comparison.metrics[Metric.HD95]
    organs, mean = len(hd95) - 1, hd95[-1]
    yield (
        "diff: this − other, mean over n cases; +/−: cases in which this is better/worse.\n"
        "p: Wilcoxon's signed-rank test, two-sided; Holm p: corrected for the number of\n"
        "organs. *: p < 0.05, for organs Holm's."
    )
    if mean.missed or mean.missed_other:
        yield (
            f"Organs missed: {mean.missed} by this, {mean.missed_other} by the other. A missed organ has no HD95: it\n"
            "counts in the test as the largest difference and is left out of the means."
        )
    differing = max(row.better + row.worse for rows in comparison.metrics.values() for row in rows)
    needed = max(FEWEST, math.ceil(math.log2(2 * organs / _SIGNIFICANT)))
    if differing < needed:
        yield (
            f"At most {differing} cases differ. p < 0.05 takes at least {FEWEST}, and Holm's p of {organs} "
            f"organ{'s' if organs != 1 else ''}\nat least {needed}."
        )
    if comparison.left_out:
        yield f"{len(comparison.left_out)} of the cases are in only one of the two and left out."


def _table(title: str) -> Table:
    table = Table(title=title)
    table.add_column("organ", overflow="fold")
    return table


def _percent(share: float) -> str:
    return f"{100 * share:+.0f} %" if math.isfinite(share) else "–"


def _shown(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}" if math.isfinite(value) else "–"
