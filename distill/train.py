"""Trains a student, with or without a teacher, and opens a trained one."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from ..runtime import arguments
from ..runtime.errors import InputError, UsageError
from ..runtime.files.hashing import file_sha256
from ..runtime.hooks import Progress
from ..runtime.task import Task
from ..training.data.crops import CropSource
from ..training.data.dataset import Dataset
from ..training.job import TrainingHooks, TrainingJob
from ..training.loop.checkpoint import load_weights
from ..training.loop.fit import FitResult
from ..training.loop.hardware import Hardware
from ..training.loop.process_group import ProcessGroup
from ..training.loop.step import Objective
from ..training.prepared_run import PreparedRun
from ..training.recipe import Recipe
from ..training.runs.run import Run
from ..training.runs.run_config import Distillation, MethodRecord, ModelConfig
from ..training.train import train
from .loss import DistillationLoss
from .students import STUDENTS, build_student, check_patch
from .targets import cache_targets

_TARGET_OVERLAP = 0.5
_NO_TEACHER = "without --teacher, give --task and --lambda 1"
_log = logging.getLogger("bedside.distill")


@dataclass(frozen=True)
class LoadedStudent:
    """A trained student and the facts of its run.

    Attributes:
        model: network in evaluation mode; logits ``[B, C, D, H, W]`` from ``[B, 1, D, H, W]``.
        task: the task it was trained for.
        student: name in `STUDENTS`.
        lam: λ it was trained with, 1 without a teacher; None if the run does not record it.
        teacher: name of the teacher's run; None without a teacher.
        data_hash: SHA-256 of the training data.
        metrics: the last row of its metrics, column → value.
    """

    model: torch.nn.Module
    task: Task
    student: str
    lam: float | None
    teacher: str | None
    data_hash: str
    metrics: dict[str, str]


def distill(
    dataset: Dataset,
    out: Path,
    *,
    student: str,
    lam: float,
    teacher: Path | None,
    task: Task | None,
    recipe: Recipe,
    hardware: Hardware | None = None,
    prepared_cases: Path | None = None,
    resume: bool = False,
    preparing: Progress | None = None,
    teaching: Progress | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Trains a student and writes a run directory.

    Args:
        dataset: labelled cases.
        out: run directory.
        student: name in `STUDENTS`.
        lam: λ of the distillation loss; 1 trains without a teacher.
        teacher: run directory of a trained teacher; needed unless λ is 1.
        task: grid, intensities, patch; None: the teacher's.
        recipe: training recipe: epochs, batch, learning rate, augmentation.
        hardware: devices, processes, nodes; None: one device, a GPU if there is one.
        prepared_cases: folder of prepared cases; None: `bedside-cases` beside ``out``.
        resume: whether to continue the run in ``out``.
        preparing: called during preprocessing with (cases done, cases in total).
        teaching: called while the teacher segments the training cases, with (cases done, cases in total).
        progress: called after each step with (steps done, steps in total, note).

    Raises:
        InputError: data set, teacher or a case was refused.
        UsageError: an argument has another type or is out of range, or options contradict each other.
    """
    arguments.instance("dataset", dataset, Dataset, "read one with load_dataset")
    arguments.known("student", student, STUDENTS)
    lam = arguments.share("lambda", lam)
    teacher = arguments.optional(arguments.path, "teacher", teacher)
    if teacher is None and lam < 1:
        raise UsageError(_NO_TEACHER)
    job = TrainingJob(
        dataset=dataset,
        task=_teachers_task(teacher) if task is None else task,
        out=arguments.path("out", out),
        recipe=recipe,
        hardware=Hardware() if hardware is None else hardware,
        prepared_cases=arguments.optional(arguments.path, "prepared_cases", prepared_cases),
        resume=resume,
    )
    hooks = TrainingHooks(preparing=preparing, teaching=teaching, progress=progress)
    return train(job, lambda: _DistilledStudent.open(student, lam, teacher, job.task), hooks)


@dataclass(frozen=True)
class _DistilledStudent:
    """The training of a student from labels and, with λ below 1, from a teacher's probabilities.

    Attributes:
        student: name in `STUDENTS`.
        lam: λ of the distillation loss.
        run: the teacher's run; None without a teacher.
        teacher: the teacher's network; None if λ is 1 or there is no teacher.
    """

    student: str
    lam: float
    run: Run | None = None
    teacher: torch.nn.Module | None = None

    @classmethod
    def open(cls, student: str, lam: float, teacher: Path | None, task: Task) -> _DistilledStudent:
        """Opens the teacher, if there is one, and checks that it and the student accept the task."""
        model = run = None
        if teacher is not None:
            from ..teacher.train import load_teacher

            model, run = load_teacher(teacher)
            _check_task(task, run)
        check_patch(student, task.patch.dhw)
        return cls(student, lam, run, model if lam < 1 else None)

    def build(self, task: Task) -> torch.nn.Module:
        return build_student(self.student, num_classes=task.num_classes)

    def recorded(self) -> MethodRecord:
        model = ModelConfig(kind="student", name=self.student)
        if self.run is None or self.teacher is None:
            return MethodRecord(model, Distillation(lam=self.lam))
        teacher_hash = file_sha256(self.run.best)
        return MethodRecord(model, Distillation(lam=self.lam, teacher=self.run.name, teacher_hash=teacher_hash))

    def objective(self, *, ignores: bool) -> Objective:
        loss = DistillationLoss(self.lam, ignores=ignores)
        return lambda logits, batch: loss(logits, batch.get("teacher"), batch["label"])

    def sources(self, prepared: PreparedRun, group: ProcessGroup, progress: Progress | None) -> list[CropSource]:
        if self.run is None or self.teacher is None:
            return [CropSource(case) for case in prepared.train]
        if group.first and _has_seen_validation(self.run, prepared):
            _log.warning(
                "the teacher was trained on another split of this data set: it may have learnt from the student's "
                "validation cases, and their Dice may be too high; give the teacher's fold (--fold)"
            )
        return cache_targets(
            self.teacher, prepared.train, prepared.run, group, overlap=_TARGET_OVERLAP, progress=progress
        )


def _teachers_task(teacher: Path | None) -> Task:
    if teacher is None:
        raise UsageError(_NO_TEACHER)
    return Run.open(teacher).config.task


def _check_task(task: Task, teacher: Run) -> None:
    expected = teacher.config.task
    if task != expected:
        differing = (field for field in task.__struct_fields__ if getattr(task, field) != getattr(expected, field))
        raise UsageError(
            f'the task differs from that of teacher "{teacher.name}" in: {", ".join(differing)}; leave --task out'
        )


def _has_seen_validation(teacher: Run, prepared: PreparedRun) -> bool:
    """Returns whether the teacher may have trained on the student's validation cases: same data, other split."""
    trained, new = teacher.config, prepared.run.config
    other_split = trained.split_hash not in ("", new.split_hash)
    return bool(prepared.validation) and trained.data_hash == new.data_hash and other_split


def load_student(run: Path) -> LoadedStudent:
    """Opens a trained student from its run directory.

    Raises:
        UsageError: ``run`` is no path.
        InputError: the directory holds no trained student.
    """
    opened = Run.open(arguments.path("run", run))
    config = opened.config
    if config.model.kind != "student":
        raise InputError(
            f'"{opened.name}" is a {config.model.kind} run; expected a student: give what was --output of distill'
        )
    model = build_student(config.model.name, num_classes=config.task.num_classes)
    load_weights(opened.best, model)
    rows = opened.rows()
    return LoadedStudent(
        model.eval(),
        config.task,
        config.model.name,
        lam=config.distillation.lam if config.distillation else None,
        teacher=(config.distillation.teacher or None) if config.distillation else None,
        data_hash=config.data_hash,
        metrics=rows[-1] if rows else {},
    )
