"""The configuration of a run, and which of its options may change when the run is resumed."""

from __future__ import annotations

from typing import Any

import msgspec

from ... import __version__
from ...runtime.task import Task
from ..recipe import Recipe


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which network a run trains.

    Attributes:
        kind: "teacher", "student" or "locator".
        name: registered name of the network.
        options: arguments of its builder besides the number of classes and the patch.
    """

    kind: str
    name: str
    options: dict[str, str | int | float | bool] = {}


class TeacherRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A teacher, as a student's run records it.

    Attributes:
        name: name of the teacher's run directory or bundle.
        sha256: hash of the teacher's weights file, or of its bundle.
        licence: what its bundle states, or of a run, what the bundles state that taught it; empty without such bundles.
    """

    name: str
    sha256: str
    licence: str = ""


class Distillation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of distillation for a student.

    Attributes:
        lam: λ, weight of the true labels in the loss, 0…1; 1 is training without a teacher.
        teachers: the teachers; empty without a teacher.
        imitation: name of the loss between student and teachers.
        targets: "cached" if the teachers segmented whole cases before the training, "online" if crops during it.
        pseudo_labels: whether the teachers' most probable class was the label of scans without labels.
        init: SHA-256 of the weights that the training started from; empty for random weights.
        init_licence: of the run with these weights, what the bundles state that taught it; empty without such bundles.
        teacher: name of the only teacher in runs that predate ``teachers``; empty in later runs.
        teacher_hash: SHA-256 of that teacher's weights file.
        temperature: temperature of the imitation loss ``kl`` in runs that predate its end; 1 in later runs.
    """

    lam: float
    teachers: tuple[TeacherRecord, ...] = ()
    imitation: str = "mse"
    targets: str = "cached"
    pseudo_labels: bool = False
    init: str = ""
    init_licence: str = ""
    teacher: str = ""
    teacher_hash: str = ""
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.teacher:
            record = TeacherRecord(name=self.teacher, sha256=self.teacher_hash)
            for field, value in (("teachers", (record,)), ("teacher", ""), ("teacher_hash", "")):
                msgspec.structs.force_setattr(self, field, value)

    @property
    def teachers_licences(self) -> str:
        """The different licences of bundles that taught, also before ``init``, joined by semicolons; empty without."""
        stated = (*(record.licence for record in self.teachers), self.init_licence)
        return "; ".join(dict.fromkeys(licence for licence in stated if licence))

    @property
    def teacher_names(self) -> str:
        """Names of the teachers' runs and bundles, with commas, equal ones with a hash; empty without a teacher."""
        names = [record.name for record in self.teachers]
        return ", ".join(
            record.name if names.count(record.name) == 1 else f"{record.name} ({record.sha256[:8]})"
            for record in self.teachers
        )


class Lengthening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The record of lengthening a run.

    Attributes:
        epoch: first epoch of the longer schedule.
        epochs: planned number of epochs before.
    """

    epoch: int
    epochs: int


class RunConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that determines a run; written to ``config.toml``.

    Attributes:
        model: configuration of the network.
        task: grid, intensities, patch.
        recipe: training recipe.
        dataset: name of the data set.
        data_hash: SHA-256 over the content of all cases.
        fold: fold of a cross-validation; None without one.
        split_hash: SHA-256 of the split into training and validation cases; empty in runs that predate this field.
        validation_hash: SHA-256 over the content of the validation cases; empty in runs that predate this field.
        unlabelled_hash: SHA-256 over the content of the training cases without labels; empty without any.
        distillation: settings of distillation, for a student.
        code_version: version of bedside.
        lengthened: one record per lengthening of the run, the earliest first.
    """

    model: ModelConfig
    task: Task
    recipe: Recipe
    dataset: str
    data_hash: str
    fold: int | None = None
    split_hash: str = ""
    validation_hash: str = ""
    unlabelled_hash: str = ""
    distillation: Distillation | None = None
    code_version: str = __version__
    lengthened: tuple[Lengthening, ...] = ()

    def epochs_at(self, epoch: int) -> int:
        """Returns the planned number of epochs at the time of an epoch, which determines its learning rate."""
        return next((step.epochs for step in self.lengthened if epoch < step.epoch), self.recipe.epochs)


_SPLIT = "the training and validation cases: --fold, --validation-fraction"
_EARLIER = {"model.apg": True, "model.mlam": True, "model.depth_axis": "z", "model.train_encoder": False}
"""Behaviour of runs that predate these options."""


def decisive_differences(stored: RunConfig, given: RunConfig) -> list[str]:
    """Returns the names of the options that determine a run and differ between two configurations.

    These may differ: the version of the code, the intervals of pictures and checkpoints, activation checkpointing,
    class offsets, which are found after the last step, the momentum, which AdamW does not have, and the number of
    processes, if a step uses as many crops in total. The data set, teachers, and SAM's weights if both configurations
    have their hash, are compared by their hashes, so that they may be renamed. The split is compared if both have
    recorded it. `Run.create` decides whether the number of epochs may change.
    """
    before, now = _decisive(stored, given), _decisive(given, stored)
    return [
        key
        for key in dict.fromkeys((*before, *now))
        if before.get(key, _EARLIER.get(key)) != now.get(key, _EARLIER.get(key))
    ]


def _decisive(config: RunConfig, other: RunConfig) -> dict[str, Any]:
    """Returns option → value for everything that determines a run, with the recipe's and the model's options flat."""
    recipe = msgspec.structs.asdict(config.recipe)
    parallel = recipe.pop("accumulate") * recipe.pop("processes")
    for field in ("epochs", "pictures_every", "checkpoint_every", "class_offsets"):
        del recipe[field]
    if "adamw" in (config.recipe.optimizer, other.recipe.optimizer):  # which has no momentum of this kind
        del recipe["momentum"]
    options = dict(config.model.options)
    options.pop("checkpoint_activations", None)
    for hashed in [key for key in options if key.endswith("_sha256")]:
        options.pop(hashed.removesuffix("_sha256") if hashed in other.model.options else hashed, None)
    return {
        "model": (config.model.kind, config.model.name),
        **{f"model.{key}": value for key, value in options.items()},
        "task": config.task,
        **{f"recipe.{key}": value for key, value in recipe.items()},
        "recipe: --devices × --nodes × --accumulate": parallel,
        "data_hash": config.data_hash,
        "the scans without labels": config.unlabelled_hash,
        **({_SPLIT: config.split_hash} if config.split_hash and other.split_hash else {}),
        **_decisive_distillation(config.distillation),
    }


def _decisive_distillation(distillation: Distillation | None) -> dict[str, Any]:
    """Returns option → value of a distillation; the teachers by their hashes alone, the different ones in any order."""
    if distillation is None:
        return {}
    options = msgspec.structs.asdict(distillation)
    del options["teacher"], options["teacher_hash"]
    if distillation.lam == 1:  # imitates nobody
        del options["imitation"], options["targets"]
    options["teachers"] = tuple(sorted(record.sha256 for record in distillation.teachers))
    return {f"distillation.{name}": value for name, value in options.items()}
