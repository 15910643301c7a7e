"""What every training starts with: a checked data set, a run directory, prepared cases."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..runtime.engines import default_threads
from ..runtime.errors import InputError
from ..runtime.task import Task
from .data.case_cache import CASES_FOLDER
from .data.case_digest import data_hash, digest_cases
from .data.dataset import Case, Dataset
from .data.prepare import check_labels, prepare_cases
from .data.prepared_case import PreparedCase
from .recipe import Recipe
from .runs.run import Distillation, ModelConfig, Run, RunConfig

_log = logging.getLogger("bedside.training")


@dataclass(frozen=True)
class Session:
    """An open run with its data.

    Attributes:
        run: the run directory.
        train: prepared training cases.
        validation: prepared validation cases; may be empty.
    """

    run: Run
    train: list[PreparedCase]
    validation: list[PreparedCase]


def open_session(
    dataset: Dataset,
    task: Task,
    out: Path,
    *,
    model: ModelConfig,
    recipe: Recipe,
    distillation: Distillation | None = None,
    resume: bool = False,
    cases: Path | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Session:
    """Checks the data set against the task, opens the run directory and preprocesses the cases.

    Args:
        dataset: labelled cases.
        task: grid, intensities, patch.
        out: run directory.
        model: which network.
        recipe: how it is trained.
        distillation: from which teacher, for a student.
        resume: go on with the run in ``out``.
        cases: folder of prepared cases; None takes `CASES_FOLDER` beside the run directory, so that a teacher, its
            students and a sweep, which lie side by side, prepare every case once.
        workers: cases read and prepared at the same time; None: one for each CPU, as far as memory goes.
        progress: hears of preparing, (done, total).

    Raises:
        InputError: no training case, labels that are not the task's, or cases that cannot be used (each is named).
        UsageError: the run directory holds another run, or the folder of prepared cases other things.
        ResourceError: a folder cannot be written.
    """
    check_labels(dataset, task)
    if not dataset.training:
        raise InputError(f'data set "{dataset.name}" lists no training case')
    # A case may serve both purposes (a single scan that is to be memorised): it is prepared once.
    unique: dict[str, Case] = {case.name: case for case in (*dataset.training, *dataset.validation)}
    listed = tuple(unique.values())
    if progress:
        progress(0, len(listed))  # hashing a large data set takes a while too
    workers = workers or default_threads()
    digests = digest_cases(listed, workers)
    config = RunConfig(
        model=model,
        task=task,
        recipe=recipe,
        dataset=dataset.name,
        data_hash=data_hash(listed, digests),
        distillation=distillation,
    )
    run = Run.create(out, config, resume=resume)
    folder = cases or out.resolve().parent / CASES_FOLDER
    prepared = {
        case.name: case for case in prepare_cases(listed, task, folder, progress, workers=workers, digests=digests)
    }
    run.start()
    _tell_warnings(list(prepared.values()))
    return Session(
        run,
        [prepared[case.name] for case in dataset.training],
        [prepared[case.name] for case in dataset.validation],
    )


def _tell_warnings(cases: list[PreparedCase]) -> None:
    """Logs what is unusual about the scans; each kind once, and no case by name."""
    unusual = [case for case in cases if case.warnings]
    if unusual:
        _log.warning("%d of %d scans are unusual, such as: %s", len(unusual), len(cases), unusual[0].warnings[0])
