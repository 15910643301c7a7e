"""`bedside export`: from a student's run directory to a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..runtime.errors import UsageError
from .options.extras import require
from .options.machine import ThreadsOption
from .options.paths import input_argument, input_option, output_option
from .options.postprocessing import PostprocessingOptions
from .terminal.console import Console

if TYPE_CHECKING:
    from ..export.gate import GateCase
    from ..runtime.task import Task


@dataclass(frozen=True, kw_only=True)
class Export:
    """Export a student: ONNX, int8, OpenVINO, measured against the student, as one verified bundle.

    Gate cases come from the data set's test list (those with label maps), then from its validation list.

    Post-processing asked for here becomes the bundle's own: `bedside segment` does it unless told otherwise.

    Example: bedside export runs/student -o student.bedside --calibration data/dataset.json
    """

    run: Annotated[Path, input_argument(help="Run directory of a student.", show_default=False)]
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
    licence: Annotated[str, typer.Option(help="Licence of the model: SPDX identifier or words.")] = "Apache-2.0"
    threads: ThreadsOption = None
    force: Annotated[bool, typer.Option("--force", help="Replace a bundle that is there.")] = False
    console: Console

    def __call__(self) -> None:
        """Exports the student and shows the bundle."""
        precisions = [word.strip() for word in self.precision.split(",")]
        unknown = [word for word in precisions if word not in ("fp32", "int8")]
        if unknown:
            raise UsageError(f'--precision: expected fp32 or fp32,int8, got "{self.precision}"')
        if self.calibration is None and "int8" in precisions:
            raise UsageError("int8 is calibrated on scans: give --calibration DATASET, or --precision fp32")
        postprocessing = self.postprocessing.requested()

        require("train", "export")
        from ..distill import load_student
        from ..export.bundle_writer import DEFAULT_OVERLAP, DEFAULT_OVERLAP_REASON, export_bundle
        from ..runtime.bundles.bundle import Bundle

        console = self.console
        loaded = load_student(self.run)
        images, cases, ignore = _cases(self.calibration, loaded.task, self.gate)
        training = {name: value for name, value in loaded.metrics.items() if value}
        if self.gate and not cases:
            console.warn("no held-out case with a label map: the bundle will carry no Dice")
        if {image for image, _ in cases} & set(images):
            training["gate"] = "a gate case is a training case too: its Dice shows memory, not skill"
            console.warn(training["gate"])
        with console.progress("export") as advance:
            noted = ""

            def progress(done: int, total: int, note: str) -> None:
                nonlocal noted
                if note != noted:
                    console.info(note)
                noted = note
                advance(done, total)

            export_bundle(
                loaded.model,
                loaded.task,
                self.output,
                student=loaded.student,
                calibration=images,
                gate=cases,
                gate_ignore=ignore,
                precisions=[word for word in ("fp32", "int8") if word in precisions],
                teacher=loaded.teacher,
                lam=loaded.lam,
                data_hash=loaded.data_hash,
                training=training,
                overlap=DEFAULT_OVERLAP if self.overlap is None else self.overlap,
                overlap_reason="as given at export" if self.overlap is not None else DEFAULT_OVERLAP_REASON,
                postprocessing=postprocessing,
                licence=self.licence,
                patches=self.patches,
                threads=self.threads,
                force=self.force,
                progress=progress,
            )
        console.finished(f'the bundle "{self.output.name}" is written')
        from .tables.bundle import bundle_facts, bundle_tables

        with Bundle.open(self.output) as bundle:
            for variant in bundle.manifest.variants:
                if variant.passed is False:
                    console.warn(f"{variant.engine} {variant.precision} failed at the gate: {variant.gate_reason}")
            console.show(*bundle_tables(bundle))
            console.emit(bundle_facts(bundle))


def _cases(path: Path | None, task: Task, gate: int) -> tuple[list[Path], list[GateCase], int | None]:
    """Returns the calibration scans, at most ``gate`` gate cases, and the ignore label of their label maps if any."""
    if path is None:
        return [], [], None
    from ..training.data.dataset import load_dataset
    from ..training.data.prepare import check_labels

    dataset = load_dataset(path, labels=task.labels)
    held_out = [(case.image, case.label) for case in (*dataset.test, *dataset.validation) if case.label is not None]
    if gate and held_out:
        check_labels(dataset, task)
    images = [case.image for case in dataset.training or dataset.validation or dataset.test]
    return images, held_out[:gate], dataset.ignore
