"""`bedside phantom`: writes a data set of phantoms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ..runtime.errors import UsageError
from .options.paths import output_argument
from .terminal.console import Console


@dataclass(frozen=True, kw_only=True)
class Phantom:
    """Write CT-like phantoms with 13 abdominal organs as a Medical-Segmentation-Decathlon data set.

    They show that the chain works, without any patient's data. They prove nothing about clinical use.

    Example: bedside phantom data/phantoms --cases 40 --seed 1

    Example: bedside phantom data/phantoms --cases 40 --labelled 6
    """

    out: Annotated[Path, output_argument(help="Folder of the new data set.", show_default=False)]
    cases: Annotated[int, typer.Option("--cases", min=1, help="Number of phantoms.")] = 20
    labelled: Annotated[
        int | None,
        typer.Option(
            "--labelled",
            help="Training phantoms with labels, the first ones; the list has the others as unlabelled.",
            show_default="all",
        ),
    ] = None
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same files.")] = 0
    force: Annotated[bool, typer.Option("--force", help="Write into OUT even if it is not empty.")] = False
    console: Console

    def __call__(self) -> None:
        """Writes the phantoms."""
        out, console = self.out, self.console
        if out.exists() and not out.is_dir():
            raise UsageError(f'"{out}" is a file; expected a folder')
        if out.is_dir() and any(out.iterdir()) and not self.force:
            raise UsageError(f'"{out}" is not empty; choose another folder, or write into it with --force')
        from ..training.phantoms.phantom import write_phantoms

        with console.progress("phantoms") as advance:
            file = write_phantoms(out, self.cases, self.seed, advance, labelled=self.labelled)
        console.finished(f'the data set "{out.resolve().name}" is written')
        console.show(f"{self.cases} phantoms in {file}")
        console.emit({"dataset": str(file), "cases": self.cases, "seed": self.seed})
