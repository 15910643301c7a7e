"""What a run was asked for, and which of it may change when the run is resumed."""

from __future__ import annotations

from typing import Any

import msgspec

from ... import __version__
from ...runtime.task import Task
from ..recipe import Recipe


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which network a run trains.

    Attributes:
        kind: "teacher" or "student".
        name: its registered name.
        options: what its builder is given besides the number of classes and the patch.
    """

    kind: str
    name: str
    options: dict[str, str | int | float | bool] = {}


class Distillation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a student learns from its teacher.

    Attributes:
        lam: λ, the weight of the truth; 1 is training without a teacher.
        teacher: name of the teacher's run directory, or "" without one.
        teacher_hash: SHA-256 of the teacher's weights file.
    """

    lam: float
    teacher: str = ""
    teacher_hash: str = ""


class Lengthening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run that was made longer.

    Attributes:
        epoch: the first epoch of the longer schedule.
        epochs: how many there were to be before.
    """

    epoch: int
    epochs: int


class RunConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that determines a run; written to ``config.toml``.

    Attributes:
        model: which network.
        task: grid, intensities, patch.
        recipe: how it is trained.
        dataset: the data set's name.
        data_hash: SHA-256 over the content of all cases.
        fold: the fold of a cross-validation that was asked for, if any.
        split_hash: SHA-256 over which cases are trained on and which are validated on; empty in runs of before it
            was recorded.
        distillation: from which teacher, for a student.
        code_version: of bedside.
        lengthened: how often the run was made longer, the earliest first.
    """

    model: ModelConfig
    task: Task
    recipe: Recipe
    dataset: str
    data_hash: str
    fold: int | None = None
    split_hash: str = ""
    distillation: Distillation | None = None
    code_version: str = __version__
    lengthened: tuple[Lengthening, ...] = ()

    def epochs_at(self, epoch: int) -> int:
        """Returns how many epochs the run was to have when it trained this one: its learning rate follows them."""
        return next((before.epochs for before in self.lengthened if epoch < before.epoch), self.recipe.epochs)


_SPLIT = "the training and validation cases: --fold, --validation-fraction"
_BEFORE = {"model.apg": True, "model.mlam": True}
"""What runs of before these options existed did."""


def decisive_differences(there: RunConfig, given: RunConfig) -> list[str]:
    """Returns the names of the options that would make another run of it, and that differ.

    The code's version may have moved on, pictures and checkpoints may come more or less often, activations may be
    checkpointed or not, and the crops of a step may be dealt to another number of processes, as long as they are as
    many. SAM's weights are known by their hash, if both have it, and may have another name. Which cases are validated
    on counts where both have recorded it.
    Whether the number of epochs may change is for `Run.create` to say.
    """
    ours, theirs = _decisive(there, given), _decisive(given, there)
    return [
        key
        for key in dict.fromkeys((*ours, *theirs))
        if ours.get(key, _BEFORE.get(key)) != theirs.get(key, _BEFORE.get(key))
    ]


def _decisive(config: RunConfig, other: RunConfig) -> dict[str, Any]:
    """Returns what determines a run, the recipe's and the model's options one by one."""
    recipe = msgspec.structs.asdict(config.recipe)
    parallel = recipe.pop("accumulate") * recipe.pop("processes")
    for field in ("epochs", "pictures_every", "checkpoint_every"):
        del recipe[field]
    options = dict(config.model.options)
    options.pop("checkpoint_activations", None)
    hashed = "checkpoint_sha256"
    options.pop("checkpoint" if hashed in options and hashed in other.model.options else hashed, None)
    return {
        "model": (config.model.kind, config.model.name),
        **{f"model.{key}": value for key, value in options.items()},
        "task": config.task,
        **{f"recipe.{key}": value for key, value in recipe.items()},
        "recipe: --devices × --nodes × --accumulate": parallel,
        "dataset": config.dataset,
        "data_hash": config.data_hash,
        **({_SPLIT: config.split_hash} if config.split_hash and other.split_hash else {}),
        "distillation": config.distillation,
    }
