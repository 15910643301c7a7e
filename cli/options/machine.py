"""The option that says how much of the machine a command may use."""

from __future__ import annotations

from typing import Annotated

import typer

from ...runtime.arguments import MOST_THREADS

ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        max=MOST_THREADS,
        help="CPU threads, of all workers and streams together; a worker has one at least.",
        show_default="all",
    ),
]
