"""The option that says how much of the machine a command may use."""

from __future__ import annotations

from typing import Annotated

import typer

# More never helps, and a machine that is asked for tens of thousands of threads stands still.
MOST_THREADS = 1024

ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        max=MOST_THREADS,
        help="CPU threads, of all workers and streams together.",
        show_default="all",
    ),
]
