"""`bedside inspect`: a bundle or a run directory at a glance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ...runtime.errors import InputError, UsageError
from ..options.paths import input_argument
from ..options.trust import TrustOption
from ..terminal.console import Console


@dataclass(frozen=True, kw_only=True)
class Inspect:
    """Show a bundle (task, variants and their figures, origin, licence) or a run (task, recipe, scores).

    A bundle's hashes are verified first, so this also shows whether it is intact; with --trust, who signed it too.

    Example: bedside inspect demo/student.bedside
    """

    path: Annotated[Path, input_argument(help="Bundle (directory or zip) or run directory.", show_default=False)]
    trust: TrustOption = None
    console: Console

    def __call__(self) -> None:
        """Shows the bundle or the run."""
        console = self.console
        if not self.path.exists():
            raise InputError(f'"{self.path.name}" does not exist; expected a bundle or a run directory')
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
        from ...runtime.bundles.bundle import Bundle
        from ..tables.bundle import bundle_facts, bundle_tables

        with Bundle.open(self.path, self.trust) as bundle:
            console.show(*bundle_tables(bundle))
            console.emit(bundle_facts(bundle))
