"""Compares teachers with their student on the validation cases, and warns where they can teach, or taught, little."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from ..runtime.files.atomic import atomic_write
from ..training.data.crops import CropSource
from ..training.loop.validate import mean_over_cases
from ..training.prepared_run import PreparedRun
from ..training.runs.run import Run
from ..training.scores.metrics import dice_per_class, finite_mean
from .seen_validation import warn_of_seen_validation
from .teachers import Teachers

_log = logging.getLogger("bedside.distill")
_OTHER_WINDOWS = 0.01  # Dice that a training's own validation may differ by: its windows overlap less
_FAINT = 0.05  # of the labels' gradient; the paper's loss had .016 where it taught nothing, `dice-ce` .85


def log_teachers(teachers: Teachers, prepared: PreparedRun) -> None:
    """Logs what may make the teachers worse, or look better, than they are."""
    new = prepared.run.config
    for member in teachers.members:
        trained = member.learned_from
        if trained.dataset and trained.dataset != new.dataset:
            _log.warning(
                'teacher "%s" was trained on data set "%s", the student on "%s": compare their validation Dice',
                member.name,
                trained.dataset,
                new.dataset,
            )
        warn_of_seen_validation(trained, f'teacher "{member.name}"', prepared)
        if member.task.preparation != new.task.preparation:
            _log.info(
                'teacher "%s" prepares scans otherwise (%s): its probabilities are interpolated',
                member.name,
                ", ".join(new.task.differing(member.task, but=("patch",))),
            )
    if new.distillation is not None and new.distillation.lam == 0:
        _log.warning("lambda 0 leaves all labels out, pseudo-labels too: the student can at best equal its teachers")


class _TeachersRecord(msgspec.Struct, frozen=True):
    """What a student's run keeps of its teachers.

    Attributes:
        dice: their mean Dice over the organs on the student's validation cases, 0…1; None without a score.
        class_offsets: whether each of them is known to have class offsets; runs that predate this do not say.
    """

    dice: float | None = None
    class_offsets: bool = False


def record_teachers_dice(teachers: Teachers, run: Run, validation: Sequence[CropSource]) -> None:
    """Scores the teachers on the validation cases, logs their Dice and keeps it in the run directory.

    Args:
        teachers: the teachers.
        run: the student's run.
        validation: validation cases with the teachers' soft labels.
    """
    if not validation:
        return
    classes = run.config.task.num_classes
    scores = np.full((len(validation), classes), np.nan)
    for number, source in enumerate(validation):
        if source.soft_labels is not None:
            found = source.soft_labels.arrays().whole().argmax(axis=0)
            case = source.case
            scores[number] = dice_per_class(found, np.asarray(case.labels()), classes, case.ignored_voxels())
    dice = finite_mean(mean_over_cases(scores)[1:])
    _log.info("the teachers' mean Dice on the %d validation cases is %.3f", len(validation), dice)
    offsets = all(member.learned_from.class_offsets for member in teachers.members)
    with atomic_write(_file(run)) as temporary:
        temporary.write_bytes(msgspec.json.encode(_TeachersRecord(None if math.isnan(dice) else dice, offsets)))


def warn_of_unequal_teachers(teachers: Teachers, run: Run) -> None:
    """Logs a warning if one of several teachers is better alone than the mean of all, whose members count alike.

    Args:
        teachers: the teachers; what their own trainings found counts, on the student's validation cases.
        run: the student's run, with the Dice of the teachers' mean.
    """
    mean, cases = teachers_dice(run), run.config.validation_hash
    own = [
        (member.own_dice, member.name)
        for member in teachers.members
        if member.own_dice is not None and cases and member.learned_from.validation_hash == cases
    ]
    dice, best = max(own, default=(0.0, ""))
    if mean is not None and len(teachers.members) > 1 and own and dice > mean + _OTHER_WINDOWS:
        _log.warning(
            'the mean of the teachers (Dice %.3f) is worse than teacher "%s" alone, which in its own training had %.3f '
            "on the same validation cases: leave the weaker ones out (%s)",
            mean,
            best,
            dice,
            ", ".join(f"{name} {dice:.3f}" for dice, name in sorted(own, reverse=True)),
        )


def teachers_dice(run: Run) -> float | None:
    """Returns the teachers' mean Dice over the organs on a student's validation cases, 0…1; None if not recorded."""
    return _record(run).dice


def warn_of_weak_teachers(run: Run) -> None:
    """Logs a warning if a student's teachers are worse than the student on its validation cases.

    The student's Dice is that without class offsets, which were fitted to these very cases, unless the teachers have
    such offsets too: either side alone would be flattered by them.

    Args:
        run: the student's run, at its end.
    """
    record, weights = _record(run), run.best_weights()
    taught, own = record.dice, weights.final_dice if record.class_offsets else weights.dice
    if taught is not None and own is not None and round(own, 3) > round(taught, 3):
        _log.warning(
            "the student, %s class offsets, is better than its teachers on the validation cases (Dice %.3f "
            "against %.3f): they may hold it back; train them longer, add teachers, or compare with a student without "
            "--teacher, at --lambda 1",
            "like them with" if record.class_offsets else "without",
            own,
            taught,
        )


def warn_of_faint_teachers(run: Run) -> None:
    """Logs a warning if the teachers' term had next to no gradient beside the labels', so that it hardly taught.

    Args:
        run: the student's run; the median over its epochs counts, without those that lack one of the two gradients.
    """
    columns = ("gradient_teacher", "gradient_labels")
    norms = [[float(row.get(column, 0)) for column in columns] for row in run.rows()]
    shares = [teacher / labels for teacher, labels in norms if teacher > 0 and labels > 0]
    if shares and (share := float(np.median(shares))) < _FAINT:
        used = run.config.distillation
        stronger = "" if used is not None and used.imitation == "dice-ce" else "--imitation dice-ce or "
        _log.warning(
            "the teachers' term had %.1g %% of the gradient of the labels' (metrics.csv): the student has learned "
            "next to nothing from it; %sa lower --lambda gives it more weight",
            100 * share,
            stronger,
        )


def _record(run: Run) -> _TeachersRecord:
    try:
        return msgspec.json.decode(_file(run).read_bytes(), type=_TeachersRecord)
    except FileNotFoundError:
        return _TeachersRecord()


def _file(run: Run) -> Path:
    return run.path / "teachers.json"
