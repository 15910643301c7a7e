"""`bedside inspect`: a bundle or a run directory at a glance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from ...runtime.errors import InputError
from ..options.paths import input_argument
from ..terminal.console import Console, JsonOption, QuietOption


def command(
    path: Annotated[Path, input_argument(help="Bundle (directory or zip) or run directory.", show_default=False)],
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show a bundle (task, variants and their figures, origin, licence) or a run (task, recipe, scores).

    A bundle's hashes are verified first, so this also shows whether it is intact.

    Example: bedside inspect demo/student.bedside
    """
    console = Console(json, quiet)
    if not path.exists():
        raise InputError(f'"{path.name}" does not exist; expected a bundle or a run directory')
    if (path / "dataset.json").is_file():
        raise InputError(f'"{path.name}" is a data set; expected a bundle or a run. Use: bedside dataset check')
    if (path / "config.toml").is_file():
        from ...training.runs.run import Run
        from .run import run_facts, run_tables

        run = Run.open(path)
        console.show(*run_tables(run))
        console.emit(run_facts(run))
        return
    from ...runtime.bundles.bundle import Bundle
    from ..tables.bundle import bundle_facts, bundle_tables

    with Bundle.open(path) as bundle:
        console.show(*bundle_tables(bundle))
        console.emit(bundle_facts(bundle))
