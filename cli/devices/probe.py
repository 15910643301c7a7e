"""`bedside devices probe`: measures how fast the engines of this machine compute."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ...runtime.arguments import MOST_THREADS
from ...runtime.bundles.outputs import check_writable
from ..options.paths import output_option
from ..terminal.console import Console


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Time small layers on this machine, so that `bedside plan --probe` predicts its speed elsewhere.

    It takes about a minute: some dozen layers in each engine and precision, with one thread and with all.

    Example: bedside devices probe -o probe.json
    """

    output: Annotated[Path, output_option("--output", "-o", help="JSON file to write.", show_default=False)]
    seconds: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=3600,
            help="About how many seconds to measure; compiling the layers comes on top, and where other programs run "
            "beside it, a probe takes several times as long.",
            show_default="60",
        ),
    ] = None
    threads: Annotated[
        list[int] | None,
        typer.Option(min=1, max=MOST_THREADS, help="CPU threads; may be repeated.", show_default="1, and all"),
    ] = None
    console: Console

    def __call__(self) -> None:
        """Probes the machine and shows its speeds."""
        import msgspec

        from ...devices.probe.probe import SECONDS, probe
        from ...devices.probe.results import PROBE_MARKS, write_probe
        from ..tables.probe import probe_table

        check_writable(self.output, ".json", marks=PROBE_MARKS)
        with self.console.progress("kernels") as advance:
            found = probe(seconds=self.seconds or SECONDS, threads=self.threads, progress=advance)
        for warning in found.warnings:
            self.console.warn(warning)
        try:
            write_probe(self.output, found)
            self.console.finished(f'the probe "{self.output.name}" is written')
        finally:  # a file that cannot be written costs no result
            self.console.show(probe_table(found))
            self.console.emit(msgspec.to_builtins(found))
        self.console.show(f'the probe "{self.output.name}" is written; bedside plan BUNDLE --probe reads it')
