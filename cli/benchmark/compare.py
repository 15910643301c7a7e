"""`bedside benchmark compare`: two measurements beside each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ..options.paths import input_argument
from ..tables.figures import significant
from ..terminal.console import Console
from .tables import wrapped

if TYPE_CHECKING:
    from rich.table import Table

    from ...devices.measurement.comparison import Comparison


@dataclass(frozen=True, kw_only=True)
class Compare:
    """Compare two results of `bedside benchmark --json`, of one machine or of two.

    Ratios of time, memory and energy for every variant that both have, and what else differs between the two: machine,
    versions, bundle, options. A bundle with the name compare is measured as ./compare.

    Example: bedside benchmark compare before.json after.json
    """

    first: Annotated[Path, input_argument(help="Result to compare with.", show_default=False)]
    second: Annotated[Path, input_argument(help="Result to compare.", show_default=False)]
    console: Console

    def __call__(self) -> None:
        """Compares and shows the ratios."""
        from ...devices.measurement.comparison import compare, read_report

        comparison = compare(read_report(self.first), read_report(self.second))
        self.console.show(ratio_table(comparison), notes(comparison), difference_table(comparison))
        self.console.emit(comparison.to_dict())


def ratio_table(comparison: Comparison) -> Table:
    """Returns the variants that both results have, with their ratios."""
    from rich.table import Table

    table = Table(title="Second by first, less is better", title_justify="left", box=None, pad_edge=False)
    table.add_column("variant", style="bold")
    for name in ("first\np50 ms", "second\np50 ms", "ratio", "95 %", "end to\nend", "memory", "energy"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in comparison.variants:
        ratio = row.window
        interval = "" if ratio.low is None or ratio.high is None else f"{ratio.low:.2f}–{ratio.high:.2f}"
        mark = "≈" if interval and ratio.is_noise else ""
        others = ("–" if value is None else f"{value:.2f}" for value in (row.total, row.memory, row.joules))
        table.add_row(
            row.name,
            significant(row.first_ms),
            significant(row.second_ms),
            f"{mark}{ratio.value:.2f}",
            interval,
            *others,
        )
    return table


def notes(comparison: Comparison) -> str:
    """Returns what the ratios mean, and which variants only one result has."""
    lines = ["≈: 1 is in the interval, which covers the scatter of rounds only, not that of days or machines."]
    if any(row.total_is_of_other_scans for row in comparison.variants):
        lines.append("End to end: the scans differ, or nothing shows that they are the same.")
    if any(row.memory_is_of_network for row in comparison.variants):
        lines.append("Memory: of the network alone; not both segmented the same scan.")
    for name, only in (("first", comparison.only_first), ("second", comparison.only_second)):
        if only:
            lines.append(f"Only in the {name}: {'; '.join(only)}.")
    return "\n".join(map(wrapped, lines))


def difference_table(comparison: Comparison) -> Table | str:
    """Returns the facts that differ between the two results."""
    from rich.table import Table

    if not comparison.differences:
        return "\nMachine, versions, bundles and options are the same."
    table = Table(title="\nWhat differs", title_justify="left", box=None, pad_edge=False)
    table.add_column("fact", style="bold", no_wrap=True)
    table.add_column("first", overflow="fold")
    table.add_column("second", overflow="fold")
    for each in comparison.differences:
        table.add_row(each.fact, each.first, each.second)
    return table
