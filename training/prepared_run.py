"""Prepares a training run: checks the data set, opens the run directory, preprocesses the cases."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..runtime.engines import default_threads
from ..runtime.errors import InputError
from ..runtime.hooks import Progress
from ..runtime.task import Task
from .data.case_cache import CaseCache
from .data.case_digest import cases_of_trainings
from .data.cases_in_use import in_use
from .data.dataset import Case, Dataset
from .data.mirroring import flip_note, mirroring_note, rotation_note
from .data.missing_labels import missing_in_training_warning, missing_labels
from .data.nnunet_splits import unused_splits
from .data.prepare import list_warnings, prepare_cases, unusual_warning
from .data.prepared_case import PreparedCase
from .job import TrainingJob
from .loop.process_group import ProcessGroup
from .recipe import Recipe
from .runs.learned_from import LearnedFrom
from .runs.run import Run
from .runs.run_config import Distillation, ModelConfig
from .runs.sole_writer import sole_writer
from .training_scans import TrainingScans

_log = logging.getLogger("bedside.training")


@dataclass(frozen=True)
class MethodRecord:
    """What a run records of its training method.

    Attributes:
        model: configuration of the network.
        distillation: teacher and loss weight of a student; None for a teacher.
        earlier: what the teachers, and the weights that the training starts from, had learned from.
    """

    model: ModelConfig
    distillation: Distillation | None = None
    earlier: tuple[LearnedFrom, ...] = ()


@dataclass(frozen=True)
class PreparedRun:
    """An open run with its prepared cases.

    Attributes:
        run: the run directory.
        train: prepared training cases.
        validation: prepared validation cases; may be empty.
        unlabelled: prepared training cases without labels; empty unless the job asks for them.
        validation_scans: SHA-256 of the validation cases' image files.
    """

    run: Run
    train: list[PreparedCase]
    validation: list[PreparedCase]
    unlabelled: list[PreparedCase] = field(default_factory=list[PreparedCase])
    validation_scans: frozenset[str] = frozenset()

    @property
    def has_ignored_voxels(self) -> bool:
        """Whether a training case with labels has voxels whose label is ignored."""
        return any(case.ignored for case in self.train)


@contextmanager
def prepare_run(
    job: TrainingJob,
    record: MethodRecord,
    group: ProcessGroup,
    *,
    progress: Progress | None = None,
) -> Generator[PreparedRun]:
    """Checks the data set against the task, opens the run directory and preprocesses the cases.

    Only the first process reads the data set; it broadcasts the result to the others. While the block runs, the
    prepared cases are registered as in use, and no other training may write to the run directory.

    Args:
        job: data set, task, recipe and folders of the training.
        record: what the run's configuration records of the training method.
        group: process group.
        progress: called with (cases done, cases in total) on the first process.

    Raises:
        InputError: the data set has no training case, its labels differ from the task's, or cases cannot be used (the
            message names each).
        UsageError: the run directory holds another run, or the folder of prepared cases holds other files.
        ResourceError: a folder cannot be written, or another process trains in the run directory.
    """
    with ExitStack() as held:
        yield group.broadcast_from_first(lambda: _opened(job, record, held, progress))


def _opened(job: TrainingJob, record: MethodRecord, held: ExitStack, progress: Progress | None) -> PreparedRun:
    """Opens a run and prepares its cases, on the first process.

    Args:
        job: as in `prepare_run`.
        record: as in `prepare_run`.
        held: is given what has to be released when the run closes.
        progress: as in `prepare_run`.
    """
    dataset, task = job.dataset, job.task
    threads = default_threads()  # cases are read and prepared in parallel, as many as memory allows
    listed = _listed(dataset, task)
    # A run that is resumed draws the same crops in whatever order the data set lists its cases.
    unlabelled = _by_name(dataset.unlabelled) if job.recipe.unlabelled else []
    held.enter_context(sole_writer(job.out))
    if progress:
        progress(0, len(listed) + len(unlabelled))  # hashing a large data set takes a while too
    scans = TrainingScans.hashed(dataset, listed, unlabelled, threads)
    scans.warn_of_seen(record.earlier)
    run = Run.create(job.out, scans.config(job, record.model, record.distillation), resume=job.resume)
    cache = CaseCache(job.cases_folder)
    held.enter_context(in_use(cache.folder, scans.keys(task)))
    prepared, prepared_unlabelled = _prepared(scans, task, cache.folder, threads, progress)
    run.start()
    scans.learned_from(record.earlier).keep(run)
    named = {case.name: case for case in prepared}
    training = [named[case.name] for case in _by_name(dataset.training)]
    validation = [named[case.name] for case in dataset.validation]
    _log_unusual(prepared, task, "scans")
    _log_unusual(prepared_unlabelled, task, "scans without labels")
    _log_unlabelled(len(scans.unlabelled) or len(dataset.unlabelled), job.recipe)
    _log_warnings(training, task, job.recipe)
    return PreparedRun(run, training, validation, prepared_unlabelled, scans.validation_images)


def _prepared(
    scans: TrainingScans, task: Task, folder: Path, threads: int, progress: Progress | None
) -> tuple[list[PreparedCase], list[PreparedCase]]:
    """Prepares the cases with labels and those without, in their order; both count towards one progress."""
    before, total = len(scans.listed), len(scans.listed) + len(scans.unlabelled)
    labelled = prepare_cases(
        scans.listed, task, folder, _from(0, total, progress), workers=threads, digests=scans.digests
    )
    if not scans.unlabelled:
        return labelled, []
    return labelled, prepare_cases(
        scans.unlabelled,
        task,
        folder,
        _from(before, total, progress),
        workers=threads,
        digests=scans.unlabelled_digests,
        needs_labels=False,
    )


def _from(before: int, total: int, progress: Progress | None) -> Progress | None:
    """Returns the progress of a part that begins after some of all cases are done."""
    return None if progress is None else lambda done, _: progress(before + done, total)


def _by_name(cases: Sequence[Case]) -> list[Case]:
    return sorted(cases, key=lambda case: case.name)


def _listed(dataset: Dataset, task: Task) -> tuple[Case, ...]:
    """Returns training and validation cases, without duplicates: a case in both lists is prepared once."""
    for warning in list_warnings(dataset, task):
        _log.warning("%s", warning)
    if dataset.fold is None and (unused := unused_splits(dataset)):
        _log.info("%s", unused)
    if not dataset.training:
        raise InputError(
            f'data set "{dataset.name}" lists no training case; name scans with label maps under "training"'
        )
    return cases_of_trainings(dataset)


def _log_unusual(cases: list[PreparedCase], task: Task, what: str) -> None:
    """Logs one warning for all unusual scans, without their names."""
    if warning := unusual_warning((case.warnings_for(task) for case in cases), what):
        _log.warning("%s", warning)


def _log_unlabelled(count: int, recipe: Recipe) -> None:
    """Logs what part the scans without labels take, if there are any."""
    if not count:
        return
    share = recipe.unlabelled
    if share:
        _log.info("scans without labels: %d, %.0f %% of the crops", count, 100 * share)
    else:
        _log.info(
            "scans without labels: %d, which take no part; a student learns from such by a teacher, with λ below 1 or "
            "--pseudo-labels",
            count,
        )


def _log_warnings(training: list[PreparedCase], task: Task, recipe: Recipe) -> None:
    """Logs a warning about labels that no case has, and notes about what becomes of the augmentation."""
    unseen = missing_labels((case.present for case in training), task.labels)
    if warning := missing_in_training_warning(unseen, task.labels):
        _log.warning("%s", warning)
    for note_on in (mirroring_note, flip_note, rotation_note):
        if note := note_on(task, recipe.augmentation):
            _log.info("%s", note)
