"""The settings of an experiment, its data lists and its arms; kept in the folder's ``plan.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from bedside.benchmarks.shared.plan import TrainingPlan

_SPLIT_SEED = 123  # of the choice of the labelled cases: the first n of one order, so that few are part of many


@dataclass(frozen=True)
class Arm:
    """One way to train the student.

    Attributes:
        teachers: number of teachers; 0 trains on the labels alone.
        unlabelled: share of crops from scans without labels.
        lam: λ of the distillation loss.
        times: training seconds, as a multiple of the plan's.
        imitation: imitation loss; empty: the plan's.
        targets: whether the teachers' probabilities are ``cached`` or computed ``online``.
        pseudo_labels: whether the teachers' most probable class is the label of scans without labels.
        turns: whether crops are flipped and rotated at random, as in the papers.
        mirrored: whether every other crop is mirrored left to right, and left and right labels exchanged.
    """

    teachers: int = 0
    unlabelled: float = 0.0
    lam: float = 1.0
    times: float = 1.0
    imitation: str = ""
    targets: Literal["cached", "online"] = "cached"
    pseudo_labels: bool = False
    turns: bool = True
    mirrored: bool = False


_ENSEMBLE_PSEUDO_LABELS = Arm(teachers=3, unlabelled=0.5, pseudo_labels=True, turns=False)
_PSEUDO_LABELS = replace(_ENSEMBLE_PSEUDO_LABELS, teachers=1)
_LABELLED = replace(_PSEUDO_LABELS, unlabelled=0.0, pseudo_labels=False, lam=0.5, imitation="dice-ce")

MAIN_ARMS: dict[str, Arm] = {
    "labels": Arm(),
    "labels-longer": Arm(times=2.0),
    "distilled": Arm(teachers=1, lam=0.5),
    "distilled-unlabelled": Arm(teachers=1, lam=0.5, unlabelled=0.5),
    "ensemble": Arm(teachers=3, lam=0.5),
    "ensemble-unlabelled": Arm(teachers=3, lam=0.5, unlabelled=0.5),
    "pseudo-labels": _PSEUDO_LABELS,
    "ensemble-pseudo-labels": _ENSEMBLE_PSEUDO_LABELS,
}
"""Name → the arms that an experiment has by default."""

ARMS: dict[str, Arm] = {
    **MAIN_ARMS,
    **{name: replace(_PSEUDO_LABELS, pseudo_labels=False, lam=0.5, imitation=name) for name in ("mse", "dice-ce")},
    "dice-ce-labelled": _LABELLED,
    "dice-ce-labelled-online": replace(_LABELLED, targets="online"),
    "labels-no-turns": Arm(turns=False),
    "labels-mirrored": Arm(mirrored=True),
    "labels-mirrored-no-turns": Arm(mirrored=True, turns=False),
    "pseudo-labels-mirrored": replace(_PSEUDO_LABELS, mirrored=True),
    "ensemble-pseudo-labels-turns": replace(_ENSEMBLE_PSEUDO_LABELS, turns=True),
    "pseudo-labels-and-imitation": replace(_PSEUDO_LABELS, lam=0.5),
}
"""Name → the arms that ``--arms`` accepts: also each imitation loss in place of pseudo-labels and all else as there,
one of them on the labelled scans alone by cached and by online targets, pseudo-labels with imitation besides, labels
and pseudo-labels with the other choice of turns or with mirrored patients."""

ENSEMBLE = "teachers"  # name of the run that scores the mean of all teachers; it trains nothing
ENSEMBLE_SIZE = max(arm.teachers for arm in ARMS.values())


def teachers_of(name: str) -> int:
    """Returns the number of teachers that a run needs; 0 for a teacher."""
    if name == ENSEMBLE:
        return ENSEMBLE_SIZE
    return ARMS[name].teachers if name in ARMS else 0


class Plan(TrainingPlan, frozen=True, kw_only=True):
    """Settings that all runs of a folder share; further ones are `TrainingPlan`'s.

    Attributes:
        student: name of the student.
        teacher: name of the network that teaches: a student of this project, or a teacher family.
        seconds: CPU seconds of a student's training.
        teacher_seconds: CPU seconds of a teacher's training.
        imitation: imitation loss.
        teacher_labels: labelled cases of the teachers: the ``same`` as the student's, the ``other`` training cases, or
            ``all``. With the last two, the student does not see the other cases at all.
        teacher_runs: the teachers, run directories or bundles; empty: teachers are trained.
    """

    student: str
    teacher: str
    seconds: float
    teacher_seconds: float
    imitation: str
    teacher_labels: Literal["same", "other", "all"] = "same"
    teacher_runs: tuple[str, ...] = ()


def write_list(plan: Plan, out: Path, labelled: int, *, for_teacher: bool = False) -> Path:
    """Writes the list of a student's or a teacher's cases, and returns its path.

    So many training cases have labels. The scans without labels are those that the data set lists as such, and all
    other training cases, unless those are labelled cases of the teachers.
    """
    root = Path(plan.data).resolve()
    listed = json.loads((root / "dataset.json").read_text(encoding="utf-8"))
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(listed["training"]))
    kept, left = order[:labelled], order[labelled:]
    if plan.teacher_labels != "same":
        teachers = left if plan.teacher_labels == "other" else order
        kept, left = teachers if for_teacher else kept, left[:0]

    def absolute(entry: dict[str, str]) -> dict[str, str]:
        return {key: str(root / value) for key, value in entry.items()}

    others = [listed["training"][index] for index in left]
    images = [entry if isinstance(entry, str) else entry["image"] for entry in (*listed.get("unlabeled", []), *others)]
    content = {
        "name": f"{listed['name']}-{labelled}",
        "training": [absolute(listed["training"][index]) for index in kept],
        "validation": [absolute(entry) for entry in listed["validation"]],
        "testing": [absolute(entry) for entry in listed["test"]],
        "unlabeled": [str(root / image) for image in images],
    }
    file = out / "lists" / f"{'teacher_' if for_teacher else ''}{labelled}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(content, indent=1))
    return file
