"""`bedside benchmark`: how fast bundles run on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...runtime.arguments import MOST_THREADS, refuse
from ...runtime.bundles.outputs import check_writable
from ..options.duration import duration
from ..options.engine import engine_option, precision_option
from ..options.extras import require
from ..options.paths import bundle_argument, input_option, output_option
from ..options.trust import TrustOption
from ..terminal.console import Console

if TYPE_CHECKING:
    from ...devices import BenchmarkReport
    from ...devices.measurement.chosen_variants import Opponent


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Measure every engine and precision of a bundle on this machine, or compare two such measurements.

    Latency per window (after a warm-up; at least 3 s and 10 windows), cold and cached start, time per stage from scan
    file to label file, peak memory, and energy where it can be read without privileges. Each variant runs in its own
    process; all take turns in rounds, and each is compared with the first one, round by round.

    Example: bedside benchmark student.bedside -i ct.nii.gz --engine openvino
    """

    bundles: Annotated[list[Path], bundle_argument(help="Bundles: directories or zips.", show_default=False)]
    scan: Annotated[
        Path | None,
        input_option("--input", "-i", help="Scan to segment end to end. Default: a synthetic one.", show_default=False),
    ] = None
    engine: Annotated[
        list[str] | None,
        engine_option(help="Engines to measure, with commas: openvino,onnxruntime.", show_default="all installed"),
    ] = None
    precision: Annotated[
        list[str] | None,
        precision_option(
            help="Precisions to measure, with commas: some of fp32, fp16, bf16, int8, uint8, int8-fp16, int8-bf16.",
            show_default="all of the bundle's",
        ),
    ] = None
    trust: TrustOption = None
    threads: Annotated[
        list[int] | None,
        typer.Option(min=1, max=MOST_THREADS, help="CPU threads, may be repeated. Default: all.", show_default=False),
    ] = None
    overlap: Annotated[
        list[float] | None,
        typer.Option(help="Overlap of windows, 0 to below 1; may be repeated. Default: the bundle's recommendation."),
    ] = None
    seconds: Annotated[
        float, typer.Option(help="Shortest measurement of a variant's window latency, over all rounds, in seconds.")
    ] = 3.0
    rounds: Annotated[int, typer.Option(help="Rounds of windows in which the variants take turns.")] = 5
    scan_rounds: Annotated[int, typer.Option(help="Rounds of whole scans.")] = 1
    end_to_end: Annotated[
        bool, typer.Option("--end-to-end/--network-only", help="Whether to segment a whole scan as well.")
    ] = True
    against: Annotated[
        str | None,
        typer.Option(
            help="Measure another program beside the bundle: monai runs the same network in MONAI and torch eager "
            "(extra train).",
            show_default=False,
        ),
    ] = None
    as_device: Annotated[
        str | None,
        typer.Option(
            "--as",
            help="Limit the measurement to another device's cores and memory: a name of `bedside devices list`, or a "
            ".toml file. The speed stays that of this machine.",
            show_default=False,
        ),
    ] = None
    sustained: Annotated[
        str | None,
        typer.Option(
            help="Afterwards run windows of the fastest variant for so long, such as 30min or 20s, and compare the "
            "first minute with the last.",
            show_default=False,
        ),
    ] = None
    csv: Annotated[
        Path | None, output_option(help="Write a table of all figures, one line per variant.", show_default=False)
    ] = None
    html: Annotated[
        Path | None, output_option(help="Write a self-contained page with plots (extra report).", show_default=False)
    ] = None
    console: Console

    def __call__(self) -> None:
        """Measures the bundles and shows the figures."""
        from ...devices import benchmark
        from ...runtime.errors import ResourceError
        from .tables import heading, network_table, noise_note, remarks, stage_tables, start_table, sustained_text

        sustained = None if self.sustained is None else duration("--sustained", self.sustained)
        if self.against not in (None, "monai"):
            refuse("--against", "monai", self.against)
        if self.against is not None:
            require("train")
        if self.html is not None:
            require("report")
            from .page import PAGE_MARKS

            check_writable(self.html, ".html", marks=PAGE_MARKS)
        if self.csv is not None:
            from .csv_table import TABLE_MARKS

            check_writable(self.csv, ".csv", marks=TABLE_MARKS)
        console = self.console
        with console.progress("benchmark") as advance:
            report = benchmark(
                self.bundles,
                engines=self.engine,
                precisions=self.precision,
                input=self.scan,
                threads=self.threads,
                overlap=self.overlap,
                min_seconds=self.seconds,
                rounds=self.rounds,
                scan_rounds=self.scan_rounds,
                end_to_end=self.end_to_end,
                sustained=sustained,
                as_device=self.as_device,
                against=self._opponents(),
                progress=advance,
                trust=self.trust,
            )
        try:
            self._write(report)
        finally:  # a file that cannot be written costs no result
            parts = (heading(report), network_table(report), noise_note(report), start_table(report))
            long_run = () if report.sustained is None else (sustained_text(report.sustained),)
            console.show(*parts, *stage_tables(report), *long_run, remarks(report))
            for warning in report.warnings:
                console.warn(warning)
            console.emit(report.to_dict())
        failed = [failure.name for failure in report.failed]
        if sustained is not None and report.sustained is None:
            failed.append("the sustained run")
        if failed:
            raise ResourceError(f"measured all but {', '.join(failed)}; the reasons are in the warnings")

    def _write(self, report: BenchmarkReport) -> None:
        if self.csv is not None:
            from .csv_table import write_csv

            write_csv(self.csv, report)
            self.console.finished(f'the table "{self.csv.name}" is written')
        if self.html is not None:
            from .page import write_benchmark_page

            write_benchmark_page(self.html, report)
            self.console.finished(f'the page "{self.html.name}" is written')

    def _opponents(self) -> Sequence[Opponent]:
        if self.against is None:
            return ()
        from .monai_eager import MonaiEager

        return (MonaiEager.of,)
