"""Trains a student, with or without teachers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch

from ..runtime import arguments
from ..runtime.errors import UsageError
from ..runtime.hooks import Progress
from ..runtime.task import Task
from ..training.data.crops import CropSource
from ..training.data.dataset import Dataset
from ..training.job import TrainingHooks, TrainingJob
from ..training.loop.fit import FitResult
from ..training.loop.hardware import Hardware
from ..training.loop.objective import Objective
from ..training.loop.process_group import ProcessGroup
from ..training.prepared_run import MethodRecord, PreparedRun
from ..training.recipe import Recipe
from ..training.runs.run import Run
from ..training.runs.run_config import Distillation, ModelConfig
from ..training.train import train
from .defaults import default_lambda, default_recipe, default_unlabelled_share
from .earlier_weights import EarlierWeights
from .loss import IMITATION, DistillationLoss
from .objective import DistillationObjective
from .option_checks import check_options
from .students.registry import STUDENTS, build_student, check_patch
from .targets import cache_targets
from .teacher_task import earlier_task
from .teachers import Teachers, check_teachers
from .validation import (
    log_teachers,
    record_teachers_dice,
    warn_of_faint_teachers,
    warn_of_unequal_teachers,
    warn_of_weak_teachers,
)

_log = logging.getLogger("bedside.distill")


def distill(
    dataset: Dataset,
    out: Path,
    *,
    student: str,
    lam: float | None = None,
    teacher: Path | Sequence[Path] | None = None,
    task: Task | None = None,
    recipe: Recipe | None = None,
    imitation: str = "mse",
    targets: str = "cached",
    pseudo_labels: bool = False,
    init: Path | None = None,
    hardware: Hardware | None = None,
    prepared_cases: Path | None = None,
    resume: bool = False,
    locator: bool = False,
    preparing: Progress | None = None,
    teaching: Progress | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Trains a student and writes a run directory.

    Args:
        dataset: labelled cases, and cases without labels if ``recipe.unlabelled`` is above 0.
        out: run directory.
        student: name in `STUDENTS`.
        lam: λ of the distillation loss; 1 trains without a teacher, or with its pseudo-labels alone; None: 0.5, or 1
            for a locator and with ``init`` where there is no teacher.
        teacher: run directory of a trained network or a bundle, or several, whose mean probabilities teach; needed
            unless λ is 1. The run of a teacher or of a student can teach, that of a locator cannot; so can any bundle,
            also of another project's network.
        task: grid, intensities, patch; None: the first teacher's, or that of ``init``, with a larger patch if the
            student needs it; a locator that does not start from another one gets a coarse grid. With cached targets
            they may differ from the teachers', whose probabilities are then interpolated; the classes may not.
        recipe: training recipe: epochs, batch, learning rate, augmentation, share of crops without labels; None: that
            of the command without options: the student's own with the task's augmentation, and half of the crops
            without labels if there are such scans and a teacher for them. `Recipe.for_task` gives one with changes.
        imitation: loss between student and teacher, a name in `IMITATION`.
        targets: ``"cached"``: the teachers segment whole cases once, before the training; ``"online"``: they see the
            student's very crops, in every step.
        pseudo_labels: whether the teachers' most probable class is the label of scans without labels: the loss of
            labels then counts there, too.
        init: run directory of an earlier run of the same student, or a bundle of it that was exported with
            ``trainable``, whose weights the training starts from; None starts from random weights.
        hardware: devices, processes, nodes; None: one device, a GPU if there is one.
        prepared_cases: folder of prepared cases; None: `bedside-cases` beside ``out``.
        resume: whether to continue the run in ``out``.
        locator: whether the run is a locator's, see `bedside.distill.locator_task`; its bundle is a student's.
        preparing: called during preprocessing with (cases done, cases in total).
        teaching: called while the teachers segment the training cases, with (cases done, cases in total).
        progress: called after each step with (steps done, steps in total, note).

    Raises:
        InputError: data set, teacher or a case was refused.
        UsageError: an argument has another type or is out of range, or options contradict each other.
        ResourceError: the disk has no room for the targets.
    """
    arguments.instance("dataset", dataset, Dataset, "read one with load_dataset")
    arguments.known("student", student, STUDENTS)
    kind = "locator" if arguments.flag("locator", locator) else "student"
    recipe = arguments.optional(arguments.instance, "recipe", recipe, Recipe)
    runs = _runs(teacher)
    init = arguments.optional(arguments.path, "init", init)
    taught, pseudo_labels = bool(runs), arguments.flag("pseudo_labels", pseudo_labels)
    untold = default_lambda(taught=taught, locator=locator, init=init is not None)
    lam = untold if lam is None else arguments.share("lambda", lam)
    half = default_unlabelled_share(dataset, lam, taught=taught, pseudo_labels=pseudo_labels)
    share = half if recipe is None else recipe.unlabelled
    check_options(dataset, lam, share, pseudo_labels=pseudo_labels, taught=taught)
    task = _earlier_task(runs, init, student, locator) if task is None else task
    if recipe is None:
        recipe = default_recipe(student, locator=locator).for_task(task, unlabelled=share)
    job = TrainingJob(
        dataset=dataset,
        task=task,
        out=arguments.path("out", out),
        recipe=recipe,
        hardware=Hardware() if hardware is None else hardware,
        prepared_cases=arguments.optional(arguments.path, "prepared_cases", prepared_cases),
        resume=resume,
    )
    options = Distillation(
        lam=lam,
        imitation=arguments.known("imitation loss", imitation, IMITATION),
        targets=arguments.one_of("targets", targets, ("cached", "online")),
        pseudo_labels=pseudo_labels,
    )
    hooks = TrainingHooks(preparing=preparing, teaching=teaching, progress=progress, finished=_warn_of_teachers)
    return train(job, lambda: _DistilledStudent.open(kind, student, options, runs, init, job.task), hooks)


@dataclass(frozen=True)
class _DistilledStudent:
    """The training of a student from labels and from teachers.

    Attributes:
        kind: "student" or "locator".
        student: name in `STUDENTS`.
        options: λ, loss and targets, without the teachers.
        teachers: the teachers; None if there is none, or none is used.
        idle_teachers: whether teachers were given and none is used.
        init: weights that the training starts from; None for random ones.
    """

    kind: str
    student: str
    options: Distillation
    teachers: Teachers | None = None
    idle_teachers: bool = False
    init: EarlierWeights | None = None

    @classmethod
    def open(
        cls, kind: str, student: str, options: Distillation, runs: Sequence[Path], init: Path | None, task: Task
    ) -> _DistilledStudent:
        """Opens the teachers and the earlier run, and checks that these and the student accept the task."""
        check_patch(student, task.patch.dhw)
        start = None if init is None else EarlierWeights.open(init, kind, student, task)
        teachers = Teachers.open(runs) if runs and (options.lam < 1 or options.pseudo_labels) else None
        if teachers is not None:
            check_teachers(teachers.members, task, online=options.targets == "online")
        return cls(kind, student, options, teachers, idle_teachers=bool(runs) and teachers is None, init=start)

    def build(self, task: Task) -> torch.nn.Module:
        model = build_student(self.student, num_classes=task.num_classes)
        if self.init is not None:
            self.init.checkpoint.load_into(model)
        return model

    def recorded(self) -> MethodRecord:
        taught_by = tuple(member.record for member in self.teachers.members) if self.teachers else ()
        options = msgspec.structs.replace(self.options, teachers=taught_by)
        if self.init is not None:
            options = msgspec.structs.replace(options, init=self.init.sha256, init_licence=self.init.licence)
        earlier = [member.learned_from for member in (self.teachers.members if self.teachers else ())]
        if self.init is not None:
            earlier.append(self.init.learned_from)
        return MethodRecord(ModelConfig(kind=self.kind, name=self.student), options, tuple(earlier))

    def objective(self, prepared: PreparedRun, group: ProcessGroup) -> Objective:
        options = self.options
        answers = options.lam < 1 and options.targets == "online"
        online = self.teachers if answers else None  # else the teachers' memory is freed
        recipe, without_labels = prepared.run.config.recipe, bool(prepared.unlabelled and not options.pseudo_labels)
        loss = DistillationLoss(
            options.lam,
            imitation=options.imitation,
            ignores=prepared.has_ignored_voxels or without_labels,
            balanced=recipe.balanced,
            unlabelled=recipe.unlabelled if without_labels else 0.0,
        )
        return DistillationObjective(loss, online)

    def sources(self, prepared: PreparedRun, group: ProcessGroup, progress: Progress | None) -> list[CropSource]:
        teachers, cases = self.teachers, prepared.train
        if group.first:
            self._log_origins(prepared)
        if teachers is None:
            return [CropSource(case) for case in cases]
        soft = self.options.lam < 1 and self.options.targets == "cached"
        # Of cases without labels, the teachers' segmentation says where crops contain an organ.
        asked = [*prepared.unlabelled, *(cases if soft else ()), *prepared.validation]
        task = prepared.run.config.task
        online = soft and not any(task.differing(member.task) for member in teachers.members)
        sources = cache_targets(teachers, asked, task, group, online_needs_fewer=online, progress=progress)
        unlabelled, others = sources[: len(prepared.unlabelled)], sources[len(prepared.unlabelled) :]
        labelled = others[: len(cases)] if soft else [CropSource(case) for case in cases]
        if group.first:
            record_teachers_dice(teachers, prepared.run, others[len(cases) if soft else 0 :])
            warn_of_unequal_teachers(teachers, prepared.run)
        return [*labelled, *(self._without_labels(source, soft) for source in unlabelled)]

    def _log_origins(self, prepared: PreparedRun) -> None:
        if self.init is not None:
            self.init.log_origin(prepared)
        if self.teachers is not None:
            log_teachers(self.teachers, prepared)
        if self.idle_teachers:
            _log.info("lambda 1 learns from labels alone: the teachers take no part")

    def _without_labels(self, source: CropSource, soft: bool) -> CropSource:
        """Returns a source of a case without labels with the targets that the options want."""
        pseudo = self.options.pseudo_labels
        targets = source.soft_labels if soft or pseudo else None
        return CropSource(source.case, targets, imitated=soft, pseudo_labelled=pseudo)


def _warn_of_teachers(run: Run, _: FitResult) -> None:
    warn_of_weak_teachers(run)
    warn_of_faint_teachers(run)


def _runs(teacher: Path | Sequence[Path] | None) -> tuple[Path, ...]:
    if teacher is None:
        return ()
    if isinstance(teacher, (str, Path)):
        return (arguments.path("teacher", teacher),)
    return tuple(arguments.path("teacher", run) for run in arguments.sequence("teacher", teacher, "a path, or several"))


def _earlier_task(runs: Sequence[Path], init: Path | None, student: str, locator: bool) -> Task:
    task = earlier_task(runs[0] if runs else None, init, student, locator=locator)
    if task is None:
        raise UsageError("without --teacher and --init, give --task")
    return task
