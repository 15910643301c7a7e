"""What a job of a cluster runs: the work on its share of the items, each result in a file as soon as it is there."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..runtime.errors import BedsideError
from ..runtime.files.atomic import atomic_write
from .signals import unwind_on_sigterm
from .worker import Finished, Raised, Work


def result_file(folder: Path, number: int) -> Path:
    """Returns the file for the result of an item."""
    return folder / f"{number}.result"


def run_shard(work: Work[Any, Any], items: Mapping[int, Any], folder: Path) -> None:
    """Runs the work on items, one after the other, in the process of a job.

    Args:
        work: the computation.
        items: number of the item → the item.
        folder: folder that the submitting process reads; the result of each item goes there.
    """
    unwind_on_sigterm()  # submitit ignores it; SLURM sends it 30 seconds before it kills, when a job is cancelled
    number = next(iter(items))
    try:
        with work.ready() as run:
            for number, item in items.items():
                _write(folder, number, Finished(run(item, _unheard)))
    except BedsideError as error:
        _write(folder, number, Raised(error))


def read_result(folder: Path, number: int) -> Finished | Raised | None:
    """Returns the result of an item; None while there is none.

    The file is as powerful as code: the folder is one that this process made, for this user alone.
    """
    try:
        content = result_file(folder, number).read_bytes()
    except FileNotFoundError:
        return None
    return pickle.loads(content)


def _write(folder: Path, number: int, answer: Finished | Raised) -> None:
    with atomic_write(result_file(folder, number)) as temporary:
        temporary.write_bytes(pickle.dumps(answer))


def _unheard(done: int, total: int, /, *note: Any, **_: Any) -> None:
    """Drops the progress within an item: nobody reads it in another machine's job."""
