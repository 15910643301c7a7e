"""`bedside inspect`: a bundle, a run directory or the DICOM series of a folder at a glance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ...runtime.errors import BundleError, InputError, UsageError
from ...runtime.scans.file_kind import is_dicom_series
from ..options.paths import input_argument
from ..options.trust import TrustOption
from ..terminal.console import Console

_TAKEN = "a bundle, a run directory or a folder of DICOM files"


@dataclass(frozen=True, kw_only=True)
class Inspect:
    """Show a bundle (task, variants, figures, origin, licence), a run (task, recipe, scores) or DICOM series.

    A bundle's hashes are verified first, so this also shows whether it is intact; with --trust, who signed it too.

    Of a folder of DICOM files it lists the series, with the number that bedside segment --series takes.

    Example: bedside inspect demo/student.bedside
    """

    path: Annotated[
        Path,
        input_argument(help="Bundle (directory or zip), run directory, or folder of DICOM files.", show_default=False),
    ]
    trust: TrustOption = None
    console: Console

    def __call__(self) -> None:
        """Shows the bundle, the run or the series."""
        console = self.console
        from ...training.runs.run_or_bundle import restore_replaced

        restore_replaced(self.path)
        if not self.path.exists():
            raise InputError(f'"{self.path.name}" does not exist; expected {_TAKEN}')
        if (self.path / "dataset.json").is_file():
            raise InputError(
                f'"{self.path.name}" is a data set; expected a bundle or a run. Use: bedside dataset check'
            )
        if (self.path / "config.toml").is_file():
            if self.trust is not None:
                raise UsageError("--trust goes with a bundle; this is a run")
            from ...training.runs.run import Run
            from .run import run_facts, run_tables

            run = Run.open(self.path)
            console.show(*run_tables(run))
            console.emit(run_facts(run))
            return
        if is_dicom_series(self.path):
            if self.trust is not None:
                raise UsageError("--trust goes with a bundle; this is DICOM")
            from ...dicom import list_series
            from .dicom import series_facts, series_table

            series = list_series(self.path)
            console.show(series_table(series))
            console.emit(series_facts(series))
            return
        from ...runtime.bundles.bundle import Bundle
        from ...runtime.bundles.manifest import MANIFEST_NAME
        from ..tables.bundle import bundle_facts, bundle_tables

        if self.path.is_dir() and not (self.path / MANIFEST_NAME).exists():
            from ...training.runs.inner_runs import run_advice

            advice = run_advice(self.path, "train-teacher, distill or export")
            raise BundleError(f'"{self.path.name}" has no {MANIFEST_NAME}; expected {_TAKEN}: {advice}')
        with Bundle.open(self.path, self.trust) as bundle:
            console.show(*bundle_tables(bundle))
            console.emit(bundle_facts(bundle))
