"""What `bedside devices probe` prints: how fast the kernels were in each engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from ...devices.probe.results import Probe


def probe_table(probe: Probe) -> Table:
    """Returns one row for each engine, precision and number of threads: how many kernels, and the fastest one."""
    from rich.table import Table

    from ...devices.planner.probed import kernel_speed

    table = Table(title=f"Probe of {probe.host.cpu}", title_justify="left", box=None, pad_edge=False)
    table.add_column("engine", style="bold", no_wrap=True)
    table.add_column("precision", no_wrap=True)
    for heading in ("threads", "kernels", "not timed", "fastest\nGFLOP/s"):
        table.add_column(heading, justify="right")
    for each in probe.series:
        fastest = max(kernel_speed(kernel) for kernel in each.kernels)
        counts = (each.threads, len(each.kernels), len(each.refused))
        table.add_row(each.engine, each.precision, *map(str, counts), f"{fastest / 1e9:.0f}")
    return table
