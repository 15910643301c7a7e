"""`bedside benchmark`: how fast a bundle runs on this machine."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options.machine import ThreadsOption
from .options.paths import bundle_argument, input_option
from .options.trust import TrustOption
from .terminal.console import Console
from .terminal.streams import NARROWEST

if TYPE_CHECKING:
    from rich.table import Table

    from ..devices import BenchmarkReport
    from ..devices.report import EndToEnd, VariantReport

_MB = 1e6
_VARIANTS = 4  # columns of figures that fit beside the stages' names


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Measure every engine and precision of a bundle on this machine.

    Cold start, latency per window (after a warm-up; at least 3 s and 10 windows), time per stage from scan file to
    label file, peak memory, and energy where it can be read without privileges. Each variant runs in its own process.

    Example: bedside benchmark student.bedside -i ct.nii.gz --engine openvino
    """

    bundle: Annotated[Path, bundle_argument(help="Bundle: a directory or zip.", show_default=False)]
    scan: Annotated[
        Path | None,
        input_option("--input", "-i", help="Scan to segment end to end. Default: a synthetic one.", show_default=False),
    ] = None
    engine: Annotated[
        list[str] | None, typer.Option(help="Engine to measure, may be repeated. Default: all installed.")
    ] = None
    precision: Annotated[
        list[str] | None,
        typer.Option(help="fp32, fp16, bf16, int8, int8-fp16, int8-bf16; may be repeated. Default: all."),
    ] = None
    trust: TrustOption = None
    threads: ThreadsOption = None
    overlap: Annotated[
        float | None, typer.Option(help="Overlap of windows, 0 to below 1. Default: the bundle's recommendation.")
    ] = None
    seconds: Annotated[float, typer.Option(help="Shortest measurement of the window latency, in seconds.")] = 3.0
    end_to_end: Annotated[
        bool, typer.Option("--end-to-end/--network-only", help="Whether to segment a whole scan as well.")
    ] = True
    console: Console

    def __call__(self) -> None:
        """Measures the bundle and shows the figures."""
        from ..devices import benchmark
        from ..runtime.errors import ResourceError

        console = self.console
        with console.progress("benchmark") as advance:
            report = benchmark(
                self.bundle,
                engines=self.engine,
                precisions=self.precision,
                input=self.scan,
                threads=self.threads,
                overlap=self.overlap,
                min_seconds=self.seconds,
                end_to_end=self.end_to_end,
                progress=advance,
                trust=self.trust,
            )
        console.show(heading(report), network_table(report), *stage_tables(report), remarks(report))
        for warning in report.warnings:
            console.warn(warning)
        console.emit(report.to_dict())
        if report.failed:
            failed = ", ".join(failure.name for failure in report.failed)
            raise ResourceError(f"measured all but {failed}; the reasons are in the warnings")


def heading(report: BenchmarkReport) -> str:
    """Returns two lines: the task, window and threads; the machine and its CPU."""
    cpu = report.host.cpu
    machine = report.host.jetson.model if report.host.jetson else cpu.model
    features = f"; {' '.join(cpu.features)}" if cpu.features else ""
    lines = (
        f"task {report.task}, window {'×'.join(map(str, report.patch))}, {report.threads} threads",
        f"on {machine} ({cpu.logical_cores} threads{features})",
    )
    return "\n".join(map(_wrapped, lines)) + "\n"


def network_table(report: BenchmarkReport) -> Table:
    """Returns cold start, window latency, memory and energy, one row per variant."""
    from rich.table import Table

    table = Table(title="The network alone, one window", title_justify="left", box=None, pad_edge=False)
    table.add_column("variant", style="bold")  # shrinks where figures are long
    for name in (
        "cold\nstart s",
        "p50\nms",
        "p90\nms",
        "p99\nms",
        "mean ± std\nms",
        "peak MB\n(above)",
        "J per\nwindow",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for variant in report.variants:
        window, memory, joules = variant.window, variant.memory, variant.joules_per_window
        table.add_row(
            variant.name,
            f"{variant.cold_start.total_s:.2f}",
            *(_three_digits(value) for value in (window.p50_ms, window.p90_ms, window.p99_ms)),
            f"{_three_digits(window.mean_ms)} ± {_three_digits(window.std_ms)}",
            f"{(memory.network_peak - memory.baseline) / _MB:.0f}",
            "–" if joules is None else _three_digits(joules),
        )
    return table


def stage_tables(report: BenchmarkReport) -> list[Table]:
    """Returns tables of seconds per stage from scan file to label file: one column per variant, at most four each."""
    runs = [(variant, variant.end_to_end) for variant in report.variants if variant.end_to_end is not None]
    return [_stage_table(runs[first : first + _VARIANTS]) for first in range(0, len(runs), _VARIANTS)]


def _stage_table(runs: Sequence[tuple[VariantReport, EndToEnd]]) -> Table:
    from rich.table import Table

    table = Table(title="\nEnd to end, scan file to label file", title_justify="left", box=None, pad_edge=False)
    table.add_column("seconds", style="bold")
    for variant, _ in runs:
        table.add_column("\n".join(variant.name.split(maxsplit=1)), justify="right")
    for stage in runs[0][1].stages:
        table.add_row(stage, *(f"{run.stages[stage]:.2f}" for _, run in runs))
    table.add_row("total", *(f"{run.total_s:.2f}" for _, run in runs), end_section=True)
    table.add_row("windows", *(f"{run.windows} (+{run.windows_skipped} air)" for _, run in runs))
    if any(run.windows_without_organ for _, run in runs):
        table.add_row("without organ", *(f"{run.windows_without_organ}" for _, run in runs))
    table.add_row("peak MB (above)", *(f"{variant.memory.above_baseline / _MB:.0f}" for variant, _ in runs))
    return table


def remarks(report: BenchmarkReport) -> str:
    """Returns the conditions of the measurement: scan, versions, memory baseline, energy source, load, heat, clock."""
    before, after = report.before, report.after
    versions = {variant.engine: variant.engine_version for variant in report.variants}
    baseline = max(variant.memory.baseline for variant in report.variants) / _MB
    energy = {variant.energy.source for variant in report.variants}
    lines = [
        "",
        f"scan: {report.scan}",
        f"engines: {', '.join(f'{name} {version}' for name, version in versions.items())}; "
        f"bedside {report.bedside_version}",
        f"memory: resident, above {baseline:.0f} MB of Python and NumPy",
        f"energy: {', '.join(sorted(energy))} (of the whole package or module, its idle share included)"
        if any(variant.energy.joules is not None for variant in report.variants)
        else f"energy: {', '.join(sorted(energy))}",
        f"load average: {_number(before.load_average)} before, {_number(after.load_average)} after",
        f"hottest zone: {_number(before.hottest, ' °C')} before, {_number(after.hottest, ' °C')} after",
        f"clock: {_clock(before.frequency_mhz)} before, {_clock(after.frequency_mhz)} after",
    ]
    if report.host.jetson is not None:
        lines.append(f"power mode: {report.host.jetson.power_mode or 'not readable'}")
    return "\n".join(map(_wrapped, lines))


def _wrapped(line: str) -> str:
    """Wraps a line at 80 columns, between words only: names of engines and CPUs may be long."""
    return textwrap.fill(line, NARROWEST, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def _number(value: float | None, unit: str = "") -> str:
    return "not readable" if value is None else f"{value:.2f}{unit}"


def _clock(clock: tuple[float, float] | None) -> str:
    return "not readable" if clock is None else f"{clock[0]:.0f}…{clock[1]:.0f} MHz"
