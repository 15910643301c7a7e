"""The page of a benchmark: figures, plots and conditions as one self-contained HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...runtime.files.html_page import page_marks, write_page
from ...training.runs.pictures import new_figure, png
from .tables import remarks, sustained_text

if TYPE_CHECKING:
    from ...devices import BenchmarkReport
    from ...devices.measurement.report import VariantReport
    from ...devices.measurement.sustained import SustainedRun


PAGE_MARKS = page_marks("<title>Benchmark of ")


def write_benchmark_page(path: Path, report: BenchmarkReport) -> Path:
    """Writes the page and returns its path.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
        ResourceError: the file cannot be written.
    """
    whole = [variant for variant in report.variants if variant.end_to_end is not None]
    fields: dict[str, Any] = {
        "report": report,
        "rounds": rounds_picture(report.variants),
        "stages": stages_picture(whole) if whole else None,
        "sustained": None if report.sustained is None else sustained_picture(report.sustained),
        "sustained_lines": [] if report.sustained is None else sustained_text(report.sustained).splitlines(),
        "remarks": [line for line in remarks(report).splitlines() if line],
    }
    return write_page(path, Path(__file__).with_name("benchmark.html.j2"), fields)


def rounds_picture(variants: tuple[VariantReport, ...]) -> bytes:
    """Draws the median latency of every round, one row per variant, as PNG bytes."""
    figure = new_figure(9, 0.38 * len(variants) + 1.1)
    axes: Any = figure.subplots()
    for row, variant in enumerate(variants):
        rounds = variant.rounds_ms or (variant.window.p50_ms,)
        axes.plot(rounds, [row] * len(rounds), "o", color="#4363d8", alpha=0.6, markersize=6)
        axes.plot([variant.window.p50_ms], [row], "|", color="#1c2530", markersize=18)
    axes.set_yticks(range(len(variants)), [variant.name for variant in variants])
    axes.set_ylim(len(variants) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("one window, ms: median of each round (dots), of all calls (bar)")
    axes.grid(axis="x", alpha=0.3)
    return png(figure)


def stages_picture(variants: list[VariantReport]) -> bytes:
    """Draws the seconds of every stage from scan file to label file, one bar per variant, as PNG bytes."""
    figure = new_figure(9, 0.38 * len(variants) + 1.5)
    axes: Any = figure.subplots()
    runs = [variant.end_to_end for variant in variants if variant.end_to_end is not None]
    left = [0.0] * len(runs)
    for stage in dict.fromkeys(stage for run in runs for stage in run.stages):
        seconds = [run.stages.get(stage, 0.0) for run in runs]
        axes.barh(range(len(runs)), seconds, left=left, label=stage)
        left = [before + more for before, more in zip(left, seconds, strict=True)]
    axes.set_yticks(range(len(runs)), [variant.name for variant in variants])
    axes.set_ylim(len(runs) - 0.5, -0.5)
    axes.set_xlabel("one scan, seconds by stage")
    axes.legend(ncols=4, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.35 / (0.1 * len(runs) + 0.5)))
    return png(figure)


def sustained_picture(run: SustainedRun) -> bytes:
    """Draws latency, clocks, heat and power along a sustained run, as PNG bytes; what no sensor gave is left out."""
    samples = run.telemetry.samples
    curves = [
        ("clock, MHz", [(each.seconds, each.clock_mhz) for each in samples]),
        ("GPU clock, MHz", [(each.seconds, each.gpu_mhz) for each in samples]),
        ("hottest sensor, °C", [(each.seconds, each.celsius) for each in samples]),
        ("power, W", [(each.seconds, each.watts) for each in samples]),
    ]
    readable = [(name, points) for name, points in curves if any(value is not None for _, value in points)]
    figure = new_figure(9, 2.0 * (1 + len(readable)))
    axes: Any = figure.subplots(1 + len(readable), 1, sharex=True, squeeze=False)[:, 0]
    axes[0].plot([each.seconds for each in run.times.bins], [each.p50_ms for each in run.times.bins], color="#4363d8")
    axes[0].set_ylabel("window, ms")
    axes[0].set_ylim(bottom=0)
    for panel, (name, points) in zip(axes[1:], readable, strict=True):
        known = [(seconds, value) for seconds, value in points if value is not None]
        panel.plot([seconds for seconds, _ in known], [value for _, value in known], color="#f58231")
        panel.set_ylabel(name)
    for panel in axes:
        panel.axvspan(0, run.times.compared_s, color="#5b6775", alpha=0.12)
        panel.axvspan(run.times.seconds - run.times.compared_s, run.times.seconds, color="#5b6775", alpha=0.12)
        panel.grid(alpha=0.3)
    axes[-1].set_xlabel("seconds; grey: what is compared")
    return png(figure)
