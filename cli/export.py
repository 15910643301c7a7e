"""`bedside export`: from a trained network to a bundle."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from .options.extras import require
from .options.machine import ThreadsOption
from .options.network import NetworkOptions
from .options.paths import input_option, output_option
from .options.postprocessing import PostprocessingOptions
from .terminal.console import Console
from .terminal.log import log_on


@dataclass(frozen=True, kw_only=True)
class Export:
    """Export a student: ONNX, int8, OpenVINO, measured against the student, as one verified bundle.

    A MONAI bundle, an nnU-Net v2 or a torch network of your own goes in the student's place: docs/other-networks.md.

    Gate cases come from the data set's test list (those with label maps), then from its validation list.

    Post-processing asked for here becomes the bundle's own: `bedside segment` does it unless told otherwise.

    Example: bedside export runs/student -o student.bedside --calibration data/dataset.json
    """

    network: NetworkOptions
    output: Annotated[Path, output_option("--output", "-o", help="Bundle directory to write.", show_default=False)]
    calibration: Annotated[
        Path | None,
        input_option(
            help="Data set whose training scans calibrate int8; not needed with --precision fp32.", show_default=False
        ),
    ] = None
    gate: Annotated[
        int, typer.Option(min=0, help="Held-out cases of that data set to measure Dice on, per variant; 0 for none.")
    ] = 1
    precision: Annotated[str, typer.Option(help="fp32 or fp32,int8.")] = "fp32,int8"
    patches: Annotated[int, typer.Option(min=1, help="Calibration patches.")] = 16
    overlap: Annotated[
        float | None, typer.Option(help="Recommended overlap of windows, 0 to below 1.", show_default="0.5")
    ] = None
    postprocessing: PostprocessingOptions
    licence: Annotated[
        str | None,
        typer.Option(
            help="Licence of the model: SPDX identifier or words.", show_default="Apache-2.0; of others, not stated"
        ),
    ] = None
    threads: ThreadsOption = None
    force: Annotated[bool, typer.Option("--force", help="Replace a bundle that is there.")] = False
    console: Console

    def __call__(self) -> None:
        """Exports the student and shows the bundle."""
        require("train", "export")
        from ..export import ExportOptions, export_bundle
        from ..runtime.bundles.bundle import Bundle
        from .tables.bundle import bundle_facts, bundle_tables

        console = self.console
        options = ExportOptions(
            dataset=self.calibration,
            gate_cases=self.gate,
            precisions=[name.strip() for name in self.precision.split(",")],
            patches=self.patches,
            overlap=self.overlap,
            postprocessing=self.postprocessing.requested(),
            licence=self.licence,
            threads=self.threads,
            force=self.force,
        )
        with log_on(console, logging.WARNING), console.progress("export") as advance:
            noted = ""

            def progress(done: int, total: int, note: str) -> None:
                nonlocal noted
                if note != noted:
                    console.info(note)
                noted = note
                advance(done, total)

            export_bundle(self.network.opened(self.calibration), self.output, options, progress)
        console.finished(f'the bundle "{self.output.name}" is written')
        with Bundle.open(self.output) as bundle:
            console.show(*bundle_tables(bundle))
            console.emit(bundle_facts(bundle))
