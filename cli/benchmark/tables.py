"""What `bedside benchmark` shows a person: figures of windows, of whole scans, and the conditions, in 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..tables.figures import significant
from ..terminal.streams import NARROWEST

if TYPE_CHECKING:
    from rich.table import Table

    from ...devices import BenchmarkReport
    from ...devices.measurement.ratio import Ratio
    from ...devices.measurement.report import EndToEnd, VariantReport
    from ...devices.measurement.sustained import SustainedRun
    from ...devices.measurement.telemetry import Telemetry

_MB = 1e6
_VARIANTS = 4  # columns of figures that fit beside the stages' names


def heading(report: BenchmarkReport) -> str:
    """Returns two lines: the task, window and threads; the machine and its CPU."""
    cpu = report.host.cpu
    machine = report.host.jetson.model if report.host.jetson else cpu.model
    features = f"; {' '.join(cpu.features)}" if cpu.features else ""
    lines = (
        f"task {report.task}, window {'×'.join(map(str, report.patch))}, {report.threads} threads",
        f"on {machine} ({cpu.logical_cores} threads{features})",
    )
    imposed = () if report.imposed is None else (report.imposed.described,)
    return "\n".join(map(wrapped, (*lines, *imposed))) + "\n"


def network_table(report: BenchmarkReport) -> Table:
    """Returns the window latency and its ratio to the first variant's, one row per variant."""
    from rich.table import Table

    table = Table(title="The network alone, one window, in ms", title_justify="left", box=None, pad_edge=False)
    table.add_column("variant", style="bold")  # shrinks where figures are long
    for name in ("p50", "p90", "p95", "p99", "mean ± std", "ratio", "95 %"):
        table.add_column(name, justify="right", no_wrap=True)
    for variant in report.variants:
        window = variant.window
        table.add_row(
            variant.name,
            *(significant(value) for value in (window.p50_ms, window.p90_ms, window.p95_ms, window.p99_ms)),
            f"{significant(window.mean_ms)} ± {significant(window.std_ms)}",
            *_ratio(variant.ratio, is_first=variant is report.variants[0]),
        )
    return table


def start_table(report: BenchmarkReport) -> Table:
    """Returns start, memory, energy and end-to-end time, one row per variant."""
    from rich.table import Table

    table = Table(title="\nStart, memory and energy", title_justify="left", box=None, pad_edge=False)
    table.add_column("variant", style="bold")
    for name in (
        "cold\nstart s",
        "cached\nstart s",
        "peak MB\n(above)",
        "J per\nwindow",
        "J per\nscan",
        "scan\ns",
        "ratio",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for variant in report.variants:
        memory, cached, whole = variant.memory, variant.cached_start, variant.end_to_end
        table.add_row(
            variant.name,
            f"{variant.cold_start.total_s:.2f}",
            "–" if cached is None else f"{cached.total_s:.2f}",
            f"{(memory.network_peak - memory.baseline) / _MB:.0f}",
            _joules(variant.joules_per_window),
            _joules(variant.joules_per_scan),
            "–" if whole is None else significant(whole.total_s),
            _ratio(variant.total_ratio, is_first=whole is not None and variant is report.variants[0])[0],
        )
    return table


def _ratio(ratio: Ratio | None, *, is_first: bool) -> tuple[str, str]:
    """Returns a ratio, marked where it is within noise, and its interval; 1 of the first variant by itself."""
    if ratio is None:
        return ("1" if is_first else "–"), ""
    mark = "≈" if ratio.is_noise and ratio.rounds > 1 else ""
    interval = "" if ratio.low is None or ratio.high is None else f"{ratio.low:.2f}–{ratio.high:.2f}"
    return f"{mark}{ratio.value:.2f}", interval


def noise_note(report: BenchmarkReport) -> str:
    """Returns what the ratios mean, and what noise alone makes; empty with one variant."""
    if len(report.variants) < 2:
        return ""
    first = report.variants[0].name
    lines = [f"Ratio: time by that of {first}, in the same {report.rounds} rounds; ≈: 1 is in the interval."]
    if any(variant.ratio is None for variant in report.variants[1:]):
        lines.append(f"–: no round in common with {first}.")
    if report.repeat is not None and report.repeat.low is not None and report.repeat.high is not None:
        again = report.repeat
        lines.append(f"Noise: {first} by itself {again.value:.2f} ({again.low:.2f}–{again.high:.2f}).")
    return "\n".join(map(wrapped, lines))


def stage_tables(report: BenchmarkReport) -> list[Table]:
    """Returns tables of seconds per stage from scan file to label file: one column per variant, at most four each."""
    runs = [(variant, variant.end_to_end) for variant in report.variants if variant.end_to_end is not None]
    return [_stage_table(runs[first : first + _VARIANTS]) for first in range(0, len(runs), _VARIANTS)]


def _stage_table(runs: Sequence[tuple[VariantReport, EndToEnd]]) -> Table:
    from rich.table import Table

    table = Table(title="\nEnd to end, scan file to label file", title_justify="left", box=None, pad_edge=False)
    table.add_column("seconds", style="bold")
    for variant, _ in runs:
        table.add_column("\n".join(_heading_lines(variant.name)), justify="right")
    for stage in dict.fromkeys(stage for _, run in runs for stage in run.stages):
        table.add_row(stage, *(f"{run.stages[stage]:.2f}" if stage in run.stages else "–" for _, run in runs))
    table.add_row("total", *(f"{run.total_s:.2f}" for _, run in runs), end_section=True)
    table.add_row("windows", *(f"{run.windows} (+{run.windows_skipped} air)" for _, run in runs))
    if any(run.windows_without_organ for _, run in runs):
        table.add_row("without organ", *(f"{run.windows_without_organ}" for _, run in runs))
    table.add_row("peak MB (above)", *(f"{variant.memory.above_baseline / _MB:.0f}" for variant, _ in runs))
    return table


def _heading_lines(name: str) -> list[str]:
    """Returns a variant's name in lines for the head of a column."""
    return [line for part in name.split(", ") for line in textwrap.wrap(part, 14, break_on_hyphens=False)]


def sustained_text(run: SustainedRun) -> str:
    """Returns the sustained run: its first part against its last, with clocks, heat and power."""
    times, first, last = run.times, run.first_state, run.last_state
    part = f"{times.compared_s:.0f} s"
    ratio = times.ratio
    interval = "" if ratio.low is None or ratio.high is None else f" ({ratio.low:.2f}–{ratio.high:.2f})"
    windows = sum(each.calls for each in times.bins)
    joules = "" if run.joules_per_window is None else f", {significant(run.joules_per_window)} J per window"
    lines = [
        "",
        f"Sustained, {run.name}: {windows} windows in {times.seconds:.0f} s{joules}",
        f"last {part} against the first: {ratio.value:.2f}{interval}",
        f"p50 {significant(times.first.p50_ms)} → {significant(times.last.p50_ms)} ms, "
        f"p99 {significant(times.first.p99_ms)} → {significant(times.last.p99_ms)} ms",
    ]
    changes = (
        ("clock", first.clock_mhz, last.clock_mhz, "MHz"),
        ("GPU clock", first.gpu_mhz, last.gpu_mhz, "MHz"),
        ("hottest sensor", first.celsius, last.celsius, "°C"),
        ("power", first.watts, last.watts, "W"),
    )
    readable = [
        f"{what} {before:.4g} → {after:.4g} {unit}" for what, before, after, unit in changes if before and after
    ]
    missing = [what for what, before, after, _ in changes if not before or not after]
    lines.append("; ".join(readable) if readable else "no sensor was readable")
    if readable and missing:
        lines.append(f"not readable: {', '.join(missing)}")
    lines.append(f"throttling: {'; '.join(run.telemetry.throttling) or _no_throttling(run.telemetry)}")
    return "\n".join(map(wrapped, lines))


def _no_throttling(telemetry: Telemetry) -> str:
    """Returns what is known where no throttling was seen."""
    source = next(sensor.source for sensor in telemetry.sensors if sensor.quantity == "throttling")
    return source if source.startswith("not readable") else f"none seen ({source})"


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
    if report.telemetry is not None:
        missing = [each.quantity for each in report.telemetry.sensors if each.source.startswith("not readable")]
        peaks = (("machine", report.telemetry.memory_peak), ("graphics card", report.telemetry.gpu_memory_peak))
        used = [f"memory of the {what}, all programs: {peak / 1e9:.1f} GB at most" for what, peak in peaks if peak]
        lines += used
        lines.append(f"throttling: {'; '.join(report.telemetry.throttling) or _no_throttling(report.telemetry)}")
        lines.append(f"sensors not readable: {', '.join(missing) or 'none'}")
    if report.host.jetson is not None:
        lines.append(f"power mode: {report.host.jetson.power_mode or 'not readable'}")
    return "\n".join(map(wrapped, lines))


def wrapped(line: str) -> str:
    """Wraps a line at 80 columns, between words only: names of engines and CPUs may be long."""
    return textwrap.fill(line, NARROWEST, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _joules(joules: float | None) -> str:
    return "–" if joules is None else significant(joules)


def _number(value: float | None, unit: str = "") -> str:
    return "not readable" if value is None else f"{value:.2f}{unit}"


def _clock(clock: tuple[float, float] | None) -> str:
    return "not readable" if clock is None else f"{clock[0]:.0f}…{clock[1]:.0f} MHz"
