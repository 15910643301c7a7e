"""Trains a student, with or without a teacher, and opens a trained one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import torch

from ..runtime import arguments
from ..runtime.errors import InputError, UsageError
from ..runtime.files.hashing import file_sha256
from ..runtime.task import Task
from ..training.data.crops import CropSource
from ..training.data.dataset import Dataset
from ..training.loop.checkpoint import load_weights
from ..training.loop.fit import FitProgress, FitResult, fit
from ..training.loop.hardware import Hardware
from ..training.loop.process_group import ProcessGroup
from ..training.prepared_run import PreparedRun, prepare_run
from ..training.recipe import Recipe
from ..training.runs.run import Distillation, ModelConfig, Run
from .loss import DistillationLoss
from .students import STUDENTS, build_student, check_patch
from .targets import cache_targets

_TARGET_OVERLAP = 0.5
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
    cases: Path | None = None,
    resume: bool = False,
    preparing: Callable[[int, int], None] | None = None,
    teaching: Callable[[int, int], None] | None = None,
    progress: FitProgress | None = None,
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
        cases: folder of prepared cases; None: `bedside-cases` beside ``out``.
        resume: whether to continue the run in ``out``.
        preparing: called during preprocessing with (cases done, cases in total).
        teaching: called while the teacher segments the training cases, with (cases done, cases in total).
        progress: called after each step with (steps done, steps in total, note).

    Raises:
        InputError: data set, teacher or a case was refused.
        UsageError: an argument has another type or is out of range, or options contradict each other.
    """
    dataset = arguments.instance("dataset", dataset, Dataset, "read one with load_dataset")
    out = arguments.path("out", out)
    arguments.known("student", student, STUDENTS)
    criterion = DistillationLoss(lam)
    teacher = arguments.optional(arguments.path, "teacher", teacher)
    task = arguments.optional(arguments.instance, "task", task, Task)
    recipe = arguments.instance("recipe", recipe, Recipe)
    hardware = arguments.optional(arguments.instance, "hardware", hardware, Hardware) or Hardware()
    cases = arguments.optional(arguments.path, "cases", cases)
    resume = arguments.flag("resume", resume)
    for name, hook in (("preparing", preparing), ("teaching", teaching), ("progress", progress)):
        arguments.optional(arguments.callback, name, hook, f"{name}(done, total)")
    if teacher is None and (lam < 1 or task is None):
        raise UsageError("without --teacher, give --task and --lambda 1")
    with hardware.launched(recipe.precision) as fabric:
        team = ProcessGroup(fabric)
        recipe = msgspec.structs.replace(recipe, processes=team.size)
        supervision = team.first_then_others(lambda: _Supervision.of(task, teacher, lam, student))
        task = supervision.task
        fabric.seed_everything(recipe.seed, verbose=False)
        model = build_student(student, num_classes=task.num_classes)
        with prepare_run(
            team,
            dataset,
            task,
            out,
            model=ModelConfig(kind="student", name=student),
            recipe=recipe,
            distillation=team.broadcast_from_first(partial(supervision.recorded, lam)),
            resume=resume,
            cases=cases,
            progress=preparing,
        ) as session:
            if team.first and supervision.has_seen_validation(session):
                _log.warning(
                    "the teacher was trained on other cases of this data set than the student: the student's "
                    "validation cases may have taught the teacher, and their Dice says too much; name the teacher's "
                    "fold (--fold)"
                )
            criterion = DistillationLoss(lam, ignores=any(case.ignored for case in session.train))
            sources = supervision.sources(session, team, fabric.device, teaching if team.first else None)
            del supervision  # frees the teacher's memory for the student

            def objective(logits: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
                return criterion(logits, batch.get("teacher"), batch["label"])

            return fit(
                session.run,
                model,
                objective,
                sources,
                session.validation,
                fabric,
                workers=hardware.workers,
                progress=progress,
            )


@dataclass(frozen=True)
class _Supervision:
    """What a student learns from besides labels: the teacher, if there is one, and the task that both share.

    Attributes:
        task: task of the student and its teacher.
        run: the teacher's run; None without a teacher.
        teacher: the teacher's network; None if λ is 1 or there is no teacher.
    """

    task: Task
    run: Run | None = None
    teacher: torch.nn.Module | None = None

    @classmethod
    def of(cls, task: Task | None, teacher: Path | None, lam: float, student: str) -> _Supervision:
        """Opens the teacher, if there is one, uses its task, and checks that the student accepts the task's patch."""
        if teacher is not None:
            from ..teacher.train import load_teacher

            model, run = load_teacher(teacher)
            supervision = cls(_student_task(task, run), run, model if lam < 1 else None)
        elif task is not None:
            supervision = cls(task)
        else:
            raise UsageError("give --task or --teacher")
        check_patch(student, supervision.task.patch_dhw)
        return supervision

    def has_seen_validation(self, session: PreparedRun) -> bool:
        """Returns whether the teacher may have trained on the student's validation cases: same data, other split."""
        if self.run is None or self.teacher is None or not session.validation:
            return False
        theirs, ours = self.run.config, session.run.config
        split_otherwise = theirs.split_hash not in ("", ours.split_hash)
        return theirs.data_hash == ours.data_hash and split_otherwise

    def sources(
        self,
        session: PreparedRun,
        team: ProcessGroup,
        device: torch.device,
        progress: Callable[[int, int], None] | None,
    ) -> list[CropSource]:
        """Returns the sources of crops: the training cases, with the teacher's probabilities if there is a teacher."""
        if self.teacher is None:
            return [CropSource(case) for case in session.train]
        return cache_targets(
            self.teacher,
            session.train,
            self.task,
            session.run.path / "targets",
            team,
            overlap=_TARGET_OVERLAP,
            device=device,
            progress=progress,
        )

    def recorded(self, lam: float) -> Distillation:
        """Returns the entry for the student's run configuration; reads the teacher's weights for their hash."""
        if self.run is None or self.teacher is None:
            return Distillation(lam=lam)
        return Distillation(lam=lam, teacher=self.run.name, teacher_hash=file_sha256(self.run.best))


def _student_task(task: Task | None, teacher: Run) -> Task:
    """Returns the teacher's task; a given ``task`` must equal it."""
    theirs = teacher.config.task
    if task is not None and task != theirs:
        fields = ", ".join(field for field in task.__struct_fields__ if getattr(task, field) != getattr(theirs, field))
        raise UsageError(f'the task differs from that of teacher "{teacher.name}" in: {fields}; leave --task out')
    return theirs


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
