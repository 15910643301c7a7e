"""`bedside devices probe`: times kernels on this machine, shows their speed, and writes the file for planning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .terminal.console import Console

if TYPE_CHECKING:
    from rich.table import Table

    from ..devices.probe.results import Probe


def run_probe(output: Path, seconds: float | None, threads: Sequence[int] | None, console: Console) -> None:
    """Probes this machine and writes the file.

    Args:
        output: JSON file to write; an earlier one is replaced.
        seconds: about how long to measure, in s; None for a minute.
        threads: numbers of threads; None for 1 and all.
        console: prints progress and results.

    Raises:
        ResourceError: no engine could run a kernel, or the file cannot be written.
    """
    import msgspec

    from ..devices.probe.probe import SECONDS, probe
    from ..devices.probe.results import write_probe

    with console.progress("kernels") as advance:
        found = probe(seconds=seconds or SECONDS, threads=threads, progress=advance)
    write_probe(output, found)
    console.finished(f'the probe "{output.name}" is written')
    for warning in found.warnings:
        console.warn(warning)
    console.show(probe_table(found), f'the probe "{output.name}" is written; bedside plan BUNDLE --probe reads it')
    console.emit(msgspec.to_builtins(found))


def probe_table(probe: Probe) -> Table:
    """Returns one row for each engine, precision and number of threads: how many kernels, and the fastest one."""
    from rich.table import Table

    from ..devices.planner.probed import kernel_speed

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
