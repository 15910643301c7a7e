"""Opens a trained student from its run directory."""

from __future__ import annotations

from pathlib import Path

from ..runtime import arguments
from ..runtime.errors import InputError
from ..training.loop.checkpoint import load_weights
from ..training.runs.learned_from import LearnedFrom
from ..training.runs.run import Run
from ..training.runs.run_config import Distillation, RunConfig
from ..training.trained_student import OWN_LICENCE, TrainedStudent
from .students.registry import build_student


def load_student(run: Path) -> TrainedStudent:
    """Opens a trained student from its run directory.

    Raises:
        UsageError: ``run`` is no path.
        InputError: the directory holds no trained student; a locator is none.
    """
    return _load(run, "student", "give what was --output of distill")


def load_locator(run: Path) -> TrainedStudent:
    """Opens a trained locator from its run directory.

    Raises:
        UsageError: ``run`` is no path.
        InputError: the directory holds no trained locator; a student is none.
    """
    return _load(run, "locator", "give what was --output of distill --locator")


def _load(run: Path, kind: str, advice: str) -> TrainedStudent:
    opened = Run.open(arguments.path("run", run))
    config = opened.config
    if config.model.kind != kind:
        raise InputError(f'"{opened.name}" is a {config.model.kind} run; expected a {kind}: {advice}')
    model = build_student(config.model.name, num_classes=config.task.num_classes)
    load_weights(opened.best, model)
    return TrainedStudent(
        model=model.eval(),
        task=config.task,
        student=config.model.name,
        lam=config.distillation.lam if config.distillation else None,
        teacher=(config.distillation.teacher_names or None) if config.distillation else None,
        learned_from=LearnedFrom.of_run(opened),
        metrics={**_origins(config), **_metrics(opened)},
        licence=_licence(config.distillation),
    )


def _origins(config: RunConfig) -> dict[str, str]:
    """Returns what a student learned from besides labels and teachers, by name."""
    origins: dict[str, str] = {}
    if config.distillation is not None and config.distillation.init:
        origins["started_from"] = f"earlier weights, SHA-256 {config.distillation.init}"
    if config.recipe.unlabelled:
        how = ", with pseudo-labels" if config.distillation is not None and config.distillation.pseudo_labels else ""
        origins["without_labels"] = f"{100 * config.recipe.unlabelled:.0f} % of the crops{how}"
    return origins


def _metrics(run: Run) -> dict[str, str]:
    dice = run.best_weights().class_offsets.dice
    return run.best_row() | ({} if dice is None else {"dice_with_class_offsets": f"{dice:.6g}"})


def _licence(distillation: Distillation | None) -> str:
    """Returns bedside's own licence, unless a bundle with another one taught the student."""
    taught = "" if distillation is None else distillation.teachers_licences
    return OWN_LICENCE if taught in ("", OWN_LICENCE) else f"not stated; bundles that taught it state: {taught}"
