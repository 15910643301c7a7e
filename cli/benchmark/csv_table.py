"""The figures of a benchmark as comma-separated values, one line per variant."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.files.atomic import atomic_write

if TYPE_CHECKING:
    from ...devices import BenchmarkReport
    from ...devices.measurement.report import VariantReport

TABLE_MARKS = ("schema_version,variant,bundle,bundle_sha256,",)  # tell a table from other files; see `check_writable`
_STAGES = ("read", "preprocess", "plan", "locate", "infer", "blend", "restore", "save")


def write_csv(path: Path, report: BenchmarkReport) -> None:
    """Writes the table; times are in ms or s as the column says, memory in bytes, an empty cell was not measured.

    Raises:
        ResourceError: the file cannot be written.
    """
    text = io.StringIO()
    rows = [_row(report, variant) for variant in report.variants]
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with atomic_write(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


def _row(report: BenchmarkReport, variant: VariantReport) -> dict[str, object]:
    window, memory, whole, ratio = variant.window, variant.memory, variant.end_to_end, variant.ratio
    bundle = None if variant.bundle is None else report.bundles[variant.bundle]
    stages = {} if whole is None else whole.stages
    return {
        "schema_version": report.schema_version,
        "variant": variant.name,
        "bundle": "" if bundle is None else bundle.name,
        "bundle_sha256": "" if bundle is None else bundle.sha256,
        "engine": variant.engine,
        "engine_version": variant.engine_version,
        "precision": variant.precision,
        "device": variant.device,
        "threads": variant.threads,
        "overlap": variant.overlap,
        "calls": window.calls,
        "mean_ms": window.mean_ms,
        "std_ms": window.std_ms,
        "p50_ms": window.p50_ms,
        "p90_ms": window.p90_ms,
        "p95_ms": window.p95_ms,
        "p99_ms": window.p99_ms,
        "ratio": 1.0 if variant is report.variants[0] else ratio and ratio.value,
        "ratio_low": None if ratio is None else ratio.low,
        "ratio_high": None if ratio is None else ratio.high,
        "cold_start_s": variant.cold_start.total_s,
        "cached_start_s": None if variant.cached_start is None else variant.cached_start.total_s,
        **{f"{stage}_s": stages.get(stage) for stage in _STAGES},
        "total_s": None if whole is None else whole.total_s,
        "network_peak_bytes": memory.network_peak,
        "end_to_end_peak_bytes": memory.end_to_end_peak,
        "baseline_bytes": memory.baseline,
        "joules_per_window": variant.joules_per_window,
        "joules_per_scan": variant.joules_per_scan,
        "imposed": "" if report.imposed is None else f"{report.imposed.device}, {report.imposed.label}",
        "cpu": report.host.cpu.model,
        "bedside_version": report.bedside_version,
    }
