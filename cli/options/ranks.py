"""Processes of one training: where torchrun or SLURM start several, only the first one prints."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

import typer

from ...runtime.errors import UsageError

_RANKS = ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK")


def is_first_process() -> bool:
    """Returns whether no variable of torchrun or SLURM says that another process of this training is the first."""
    return all(os.environ.get(name, "0") == "0" for name in _RANKS)


@contextmanager
def only_first_reports_usage() -> Generator[None]:
    """Ends all processes but the first without a message on a `UsageError`: every process gets the same options."""
    try:
        yield
    except UsageError as error:
        if is_first_process():
            raise
        raise typer.Exit(error.exit_code) from None
