"""`bedside export`: from a trained network to a bundle."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from ..runtime.errors import ExitCode, UsageError
from .options.command import refuse_others
from .options.engine import precision_option
from .options.extras import require
from .options.machine import ThreadsOption
from .options.network import NetworkOptions
from .options.paths import input_option, new_bundle_option, output_option
from .options.postprocessing import PostprocessingOptions
from .options.signing_key import read_signing_key
from .terminal.console import Console
from .terminal.log import log_on

_PRECISIONS = "fp32,int8,uint8"


@dataclass(frozen=True, kw_only=True)
class Export:
    """Export a student: ONNX, fp16, int8, OpenVINO, measured against the student, as one verified bundle.

    The gate judges every variant by Dice, probabilities and time, and leaves out those that fail (exit code 6). Its
    cases come from the data set's test list (those with label maps), then from its validation list. A page beside the
    bundle shows figures and pictures.

    A MONAI bundle, an nnU-Net v2 or a torch network of your own goes in the student's place: docs/other-networks.md.

    A locator that costs an organ more than 0.002 Dice on the gate cases is left out (exit code 6).

    Post-processing asked for here becomes the bundle's own: `bedside segment` does it unless told otherwise.

    Example: bedside export runs/student -o student.bedside --calibration data/dataset.json

    Example: bedside export --formats
    """

    network: NetworkOptions
    output: Annotated[
        Path | None, new_bundle_option("--output", "-o", help="Bundle directory to write.", show_default=False)
    ] = None
    formats: Annotated[
        bool, typer.Option("--formats", help="Only show what each engine and precision needs, and its state here.")
    ] = False
    calibration: Annotated[
        Path | None,
        input_option(
            help="Data set whose training scans calibrate int8; not needed with --precision fp32.", show_default=False
        ),
    ] = None
    gate: Annotated[
        int, typer.Option(min=0, help="Held-out cases of that data set for the gate, if it has so many; 0 for none.")
    ] = 10
    keep_failed: Annotated[
        bool,
        typer.Option("--keep-failed", help="Keep what failed at the gate, to run where asked for by name."),
    ] = False
    page: Annotated[
        Path | None,
        output_option(help="HTML page with the gate's figures and pictures.", show_default="BUNDLE.parity.html"),
    ] = None
    no_page: Annotated[bool, typer.Option("--no-page", help="Write no page; it shows scans of the gate.")] = False
    precision: Annotated[
        list[str] | None,
        precision_option(
            help="Precisions to write, with commas: some of fp32, fp16, int8, uint8 (int8 for ONNX Runtime on CPUs) "
            "and int8-fp16.",
            show_default=_PRECISIONS,
        ),
    ] = None
    onnx_only: Annotated[
        bool,
        typer.Option(
            "--onnx-only", help="No files of OpenVINO's own, which reads the ONNX: half the size, a slower first start."
        ),
    ] = False
    trainable: Annotated[
        bool,
        typer.Option(
            "--trainable",
            help="Keep the student's own weights in the bundle, to train on from: distill --init.",
        ),
    ] = False
    no_scan_hashes: Annotated[
        bool,
        typer.Option(
            "--no-scan-hashes",
            help="Do not record which scans the network learned from, by SHA-256; then nobody can tell with dataset "
            "seen whether a scan is among them.",
        ),
    ] = False
    patches: Annotated[int, typer.Option(min=1, help="Calibration patches.")] = 16
    int8_search: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="Longest search for layers that lose too much accuracy in int8, to keep them in floating point; as "
            "long again for uint8. Export searches only if the quantized network uses more than half of what the gate "
            "allows. 0 turns the search off.",
        ),
    ] = 300.0
    overlap: Annotated[
        float | None,
        typer.Option(help="Recommended overlap of windows, 0 to below 1.", show_default="measured on the gate's cases"),
    ] = None
    locator: Annotated[
        Path | None,
        input_option(help="Run directory of a locator (distill --locator), to leave out windows without organs."),
    ] = None
    postprocessing: PostprocessingOptions
    licence: Annotated[
        str | None,
        typer.Option(
            help="Licence of the model: SPDX identifier or words.", show_default="Apache-2.0; of others, not stated"
        ),
    ] = None
    sign: Annotated[
        Path | None,
        input_option(
            help="Private key (Ed25519; PEM or OpenSSH) that signs the bundle; see bedside bundle sign.",
            show_default="not signed",
        ),
    ] = None
    threads: ThreadsOption = None
    force: Annotated[bool, typer.Option("--force", help="Replace a bundle that is there.")] = False
    console: Console

    def __call__(self) -> ExitCode:
        """Exports the student, or shows the formats; `ExitCode.REVIEW` where a variant or the locator is left out."""
        if self.formats:
            refuse_others("--formats", replace(self, formats=False, console=Console()))
            self._show_formats()
            return ExitCode.OK
        if self.output is None:
            raise UsageError("export: give --output; only --formats does without")
        return self._export(self.output, self._page(self.output))

    def _show_formats(self) -> None:
        from dataclasses import asdict

        from ..export.formats import export_formats
        from .tables.formats import format_tables

        formats = export_formats()
        self.console.show(*format_tables(formats))
        self.console.emit({"formats": [{**asdict(each), "state": each.state} for each in formats]})

    def _export(self, output: Path, page: Path | None) -> ExitCode:
        self.network.check()
        require("train", "export", *(() if page is None else ("report",)))
        from ..distill import STUDENTS, load_locator
        from ..export import ExportOptions, export_bundle
        from ..runtime.bundles.bundle import Bundle
        from .tables.bundle import bundle_facts, bundle_tables

        console = self.console
        key = None if self.sign is None else read_signing_key(self.sign)
        options = ExportOptions(
            dataset=self.calibration,
            gate_cases=self.gate,
            precisions=self.precision or _PRECISIONS.split(","),
            patches=self.patches,
            int8_search=self.int8_search,
            onnx_only=self.onnx_only,
            trainable=self.trainable,
            scan_hashes=not self.no_scan_hashes,
            keep_failed=self.keep_failed,
            page=page,
            overlap=self.overlap,
            postprocessing=self.postprocessing.requested(),
            locator=None if self.locator is None else load_locator(self.locator),
            licence=self.licence,
            sign=key,
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

            student = self.network.opened(self.calibration)
            if self.trainable and student.student not in STUDENTS:
                raise UsageError(f"--trainable is for bedside's own students; distill cannot train {student.student}")
            export_bundle(student, output, options, progress)
        console.finished(f'the bundle "{output.name}" is written')
        if page is not None:
            console.info(f'figures and pictures of the gate are in "{page.name}"')
        with Bundle.open(output) as bundle:
            console.show(*bundle_tables(bundle))
            console.emit(bundle_facts(bundle))
            manifest = bundle.manifest
            return ExitCode.REVIEW if manifest.failed or manifest.locator_left_out else ExitCode.OK

    def _page(self, output: Path) -> Path | None:
        if self.no_page and self.page is not None:
            raise UsageError("--page and --no-page exclude each other; give one")
        if self.no_page or self.calibration is None:  # without scans there is little to show
            return self.page
        return self.page or output.parent / f"{output.name.removesuffix('.bedside')}.parity.html"
