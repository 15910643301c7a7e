"""What `bedside plan` prints: the options, the reasons of those that do not fit, and what is not proven."""

from __future__ import annotations

import textwrap
from itertools import groupby
from typing import TYPE_CHECKING

from ..tables.figures import significant
from ..terminal.streams import NARROWEST

if TYPE_CHECKING:
    from rich.table import Table

    from ...devices.planner.report import Option, PlanReport
    from ...devices.planner.roofline import Interval


def heading(report: PlanReport) -> str:
    """Returns two lines: the device, its power mode and a given clock; the scan and the limits."""
    from ...devices.planner.choice import shown_bytes, shown_seconds

    mode = "" if not report.power_mode else f", mode {report.power_mode}"
    clock = "" if report.clock_mhz is None else f", clock {report.clock_mhz:g} MHz"
    limits = [
        None if report.limits.seconds is None else shown_seconds(report.limits.seconds),
        None if report.limits.memory is None else shown_bytes(report.limits.memory),
        None if report.limits.power is None else f"{report.limits.power:g} W",
    ]
    scan = f"{'×'.join(map(str, report.scan))} voxels of {'×'.join(f'{step:g}' for step in report.spacing)} mm"
    lines = (
        f"{report.title} ({report.device}){mode}{clock}",
        f"scan: {scan}; limits: {', '.join(limit for limit in limits if limit) or 'none'}",
    )
    return "\n".join(map(_wrapped, lines)) + "\n"


def option_table(report: PlanReport) -> Table:
    """Returns every option with its predicted figures, one row each, the fastest first."""
    from rich.table import Table

    table = Table(title="Predicted", title_justify="left", box=None, pad_edge=False, padding=(0, 1))
    table.add_column("")
    table.add_column("model\nengine precision", overflow="fold")
    for name in ("overlap\nwindows", "seconds\n(interval)", "MB\n(interval)", "J", "Dice"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("tier", no_wrap=True)
    for option in report.options:
        table.add_row(
            _mark(option, report),
            f"{option.model}\n{option.engine} {option.precision}",
            f"{option.overlap:g}\n{option.windows}",
            _interval(option.seconds),
            _interval(option.memory, 1e6),
            "–" if option.joules is None else _interval(option.joules),
            "–" if option.dice is None else f"{option.dice:.3f}",
            "\n".join(option.tier.split()),
        )
    table.caption = "→ recommended  * Pareto front  × does not fit  – not known"
    table.caption_justify = "left"
    return table


def _mark(option: Option, report: PlanReport) -> str:
    return "→" if option is report.recommended else "×" if option.exclusions else "*" if option.on_front else ""


def _interval(figure: Interval, unit: float = 1.0) -> str:
    low, high = (significant(value / unit, 2) for value in (figure.low, figure.high))
    return f"{significant(figure.predicted / unit)}\n{low}…{high}"


def reasons(report: PlanReport) -> str:
    """Returns the recommendation, and why each other option or variant is left out."""
    chosen = report.recommended
    lines = ["", f"recommended: {'nothing fits' if chosen is None else chosen.name}"]
    if chosen is not None:
        lines.append(f"  because: {report.reason}")
        lines += [f"  not proven: {doubt}" for doubt in chosen.doubts]
    excluded = (option for option in report.options if option.exclusions)
    lines += [f"left out: {option.name}: {'; '.join(option.exclusions)}" for option in excluded]
    for (model, reason), group in groupby(report.unplanned, lambda each: (each.model, each.reason)):
        names = ", ".join(f"{each.engine} {each.precision}".strip() for each in group)
        lines.append(f"left out: {model}, {names}: {reason}")
    return "\n".join(map(_wrapped, lines))


def remarks(report: PlanReport) -> str:
    """Returns what the figures do not include, or assume."""
    return "\n".join(map(_wrapped, ["", "not proven", *(f"- {line}" for line in report.unproven)]))


def _wrapped(line: str) -> str:
    """Wraps a line at 80 columns, between words only."""
    return textwrap.fill(line, NARROWEST, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
