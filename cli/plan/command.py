"""`bedside plan`: predicted seconds, memory and energy of a scan on a device, and what fits the limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...runtime.bundles.outputs import check_writable
from ...runtime.errors import ResourceError, UsageError
from ..options.duration import duration
from ..options.extras import require
from ..options.paths import bundle_argument, input_option, output_option
from ..terminal.console import Console
from . import quantities

if TYPE_CHECKING:
    from ...devices.planner.planned_model import PlannedModel
    from ...runtime.task import Task


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Predict the seconds, memory and energy of a scan on a device that need not be there.

    Every engine and precision that the device runs, with an interval and the tier of each prediction: data sheet (a
    roofline over the operations of the ONNX, within about a factor of two), probed (from kernels timed on the device by
    bedside devices probe), or measured. Exit code 5 if nothing fits.

    With --students, networks of fresh weights: which are worth training for the device (extras train and export).

    Example: bedside plan student.bedside --device orin-nano-8 --budget 10s --memory 3GB
    """

    bundles: Annotated[list[Path] | None, bundle_argument(help="Bundles: directories or zips.", show_default=False)] = (
        None
    )
    device: Annotated[
        str, typer.Option(help="Device: a profile of `bedside devices`, or a .toml file.", show_default=False)
    ]
    students: Annotated[
        list[str] | None,
        typer.Option(help="Student before its training, may be repeated; all takes minutes.", show_default=False),
    ] = None
    task: Annotated[
        str | None,
        typer.Option(
            help="Task of the students: a preset, or a TOML file. Default: a bundle's, or btcv.",
            show_default=False,
        ),
    ] = None
    patch: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            max=512,
            help="Edge of their windows, may be repeated. Default: the task's.",
            show_default=False,
        ),
    ] = None
    budget: Annotated[
        str | None,
        typer.Option(help="Most time of the network for a scan: 500ms, 10s, 2min.", show_default=False),
    ] = None
    memory: Annotated[
        str | None, typer.Option(help="Most memory of the process: 3GB. Default: the device's.", show_default=False)
    ] = None
    power: Annotated[str | None, typer.Option(help="Most power: 15W; chooses the power mode.", show_default=False)] = (
        None
    )
    clock: Annotated[
        float | None, typer.Option(help="Clock of the processor, MHz. Default: the power mode's.", show_default=False)
    ] = None
    scan: Annotated[str, typer.Option(help="Voxels and spacing in mm, x, y, z.")] = "512x512x400@0.8x0.8x1"
    overlap: Annotated[
        list[float] | None,
        typer.Option(help="Overlap of windows, may be repeated. Default: the bundle's.", show_default=False),
    ] = None
    measured: Annotated[
        Path | None,
        input_option("--measured", help="What `bedside benchmark --json` printed on this device.", show_default=False),
    ] = None
    probe: Annotated[
        Path | None,
        input_option("--probe", help="What `bedside devices probe` wrote on this device.", show_default=False),
    ] = None
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of the engine, as probed. Default: the most.", show_default=False)
    ] = None
    html: Annotated[
        Path | None, output_option(help="Write a self-contained page too (extra report).", show_default=False)
    ] = None
    console: Console

    def __call__(self) -> None:
        """Plans and shows the options."""
        from ...devices import load_profile, plan
        from .page import PAGE_MARKS, write_plan_page
        from .tables import heading, option_table, reasons, remarks

        if not self.bundles and not self.students:
            raise UsageError("expected a bundle to plan with, which bedside export makes, or --students all")
        if not self.students and (self.task is not None or self.patch):
            raise UsageError("--task and --patch go with --students; a bundle has its own")
        if self.html is not None:
            require("report")
            check_writable(self.html, ".html", marks=PAGE_MARKS)
        shape, spacing = quantities.scan("--scan", self.scan)
        profile = load_profile(self.device)  # a wrong name is refused before minutes of work
        report = plan(
            [*(self.bundles or ()), *self._planned_students()],
            profile,
            seconds=None if self.budget is None else duration("--budget", self.budget),
            memory=None if self.memory is None else quantities.size("--memory", self.memory),
            power=None if self.power is None else quantities.watts("--power", self.power),
            shape=shape,
            spacing=spacing,
            overlaps=self.overlap or (),
            clock_mhz=self.clock,
            measured=self.measured,
            probe=self.probe,
            threads=self.threads,
        )
        console = self.console
        try:
            if self.html is not None:
                write_plan_page(self.html, report)
                console.finished(f'the page "{self.html.name}" is written')
        finally:  # a page that cannot be written costs no result
            console.show(heading(report), option_table(report), reasons(report), remarks(report))
            console.emit(report.to_dict())
        if report.recommended is None:
            raise ResourceError(f"nothing fits on {report.title}; the reasons are in the table")

    def _planned_students(self) -> list[PlannedModel]:
        if not self.students:
            return []
        require("train", "export")
        from .students import planned_students

        task = self._students_task()
        tasks = [task.replaced(patch=(edge, edge, edge)) for edge in self.patch or ()] or [task]
        with self.console.progress("students") as advance:
            return planned_students(self.students, tasks, advance)

    def _students_task(self) -> Task:
        from ...runtime.bundles.bundle import Bundle
        from ...runtime.task_presets import load_task

        if self.task is None and self.bundles:  # models of one task alone can be compared
            with Bundle.open(self.bundles[0]) as bundle:
                return bundle.manifest.task
        return load_task(self.task or "btcv")
