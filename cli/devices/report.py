"""`bedside devices report`: what a support engineer needs to know of this machine, in one file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ...runtime.errors import BundleError, UsageError
from ..options.outputs import check_new
from ..options.paths import bundle_option, input_option, output_option
from ..terminal.console import Console


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write what a support engineer needs to know of this machine as one zip, with nothing of a patient in it.

    Machine, engines, versions, the last failures (kind and place, no messages), and on request the self-test of a
    bundle and the probe of this machine.

    Example: bedside devices report -o report.zip --bundle student.bedside
    """

    output: Annotated[Path, output_option("--output", "-o", help="Zip to write.", show_default=False)]
    bundle: Annotated[
        Path | None, bundle_option(help="Bundle to test on this machine: a directory or zip.", show_default=False)
    ] = None
    probe: Annotated[
        Path | None, input_option(help="What bedside devices probe -o wrote here.", show_default=False)
    ] = None
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False
    console: Console

    def __call__(self) -> None:
        """Writes the zip and says what is in it."""
        check_new(self.output, ".zip", force=self.force)
        if self.bundle is not None and os.path.realpath(self.bundle) == os.path.realpath(self.output):
            raise UsageError("--bundle and -o are the same file; the report would replace the bundle")
        from ...devices.support_report import write_support_report

        with self.console.progress("self-test") as advance:
            contents = write_support_report(self.output, self.bundle, self.probe, advance)
        self.console.finished(f'the report "{self.output.name}" is written')
        self.console.show(f"{self.output.name}: {', '.join(contents)}")
        tests = contents.get("self-test.json", {}).get("variants", [])
        for test in tests:
            outcome = "passed" if test["passed"] else f"failed: {test['reason']}"
            self.console.show(f"self-test {test['engine']} {test['precision']} on {test['device']}: {outcome}")
        self.console.emit({"report": self.output.name, "contents": contents})
        if not all(test["passed"] for test in tests):
            raise BundleError("the report is written; the bundle failed its self-test here, see self-test.json")
