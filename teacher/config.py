"""The configuration of a teacher: its options, each written once, the network they build, and their record in a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import Field, dataclass, field, fields, replace
from enum import Enum
from math import prod
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from ..runtime import arguments
from ..runtime.axes import DHW
from ..runtime.extras import extra_named
from ..runtime.files.hashing import file_sha256
from ..runtime.task import MAX_LABELS, MAX_PATCH_VOXELS
from ..training.patch_rule import PatchRule
from ..training.runs.run_config import ModelConfig

if TYPE_CHECKING:
    from torch import nn

Value = TypeVar("Value")


class OptionKind(Enum):
    """What an option determines, and so how a run records it.

    Attributes:
        DESIGN: the network; recorded, and read back.
        FILE: a file of initial weights; recorded by name and SHA-256, and not read back: the run holds all weights.
        COMPUTATION: how the network is computed, not what; recorded if it is not the default, and not read back.
    """

    DESIGN = "design"
    FILE = "file"
    COMPUTATION = "computation"


def option(
    default: Value,
    help: str,  # noqa: A002 - typer's name
    kind: OptionKind = OptionKind.DESIGN,
    *,
    unrecorded: Value | None = None,
) -> Value:
    """Declares an option in a `TeacherConfig`.

    Args:
        default: value if it is not given; only an option whose default is None can be None.
        help: one line for the command's help; of a switch that is on by default, what switching it off does.
        kind: what the option determines.
        unrecorded: value in runs that predate the option; None: the default.
    """
    earlier = default if unrecorded is None else unrecorded
    return field(default=default, metadata={"help": help, "kind": kind, "unrecorded": earlier})


@dataclass(frozen=True, kw_only=True)
class TeacherConfig(ABC):
    """The options of a teacher. Every family has a subclass, whose fields are declared by `option`.

    A run records the options' values, so that the network can be built again; number of classes and patch are those of
    the run's task.

    Attributes:
        name: name in `TEACHERS`.
        patch_rule: the patches it accepts.
    """

    name: str
    patch_rule: ClassVar[PatchRule] = PatchRule()

    @classmethod
    def options(cls) -> dict[str, Field[Any]]:
        """Returns the options by name."""
        return {each.name: each for each in fields(cls) if "kind" in each.metadata}

    @property
    def title(self) -> str:
        """One-line description, such as ``autosam with vit_b, preset paper``."""
        return self.name

    @property
    def encoder(self) -> str:
        """Name of the part that starts from published weights, such as ``vit_b``."""
        return self.name

    @property
    def lacks_weights(self) -> bool:
        """Whether part of the network is frozen at random values, because no weights are given for it."""
        return False

    def component(self, parameter: str) -> str:
        """Returns the part of the network that a parameter is counted with: its outermost module."""
        return parameter.partition(".")[0]

    def resolved(self) -> TeacherConfig:
        """Returns the configuration with a value for every option whose default depends on other options."""
        return self

    @abstractmethod
    def network(self, num_classes: int, patch: DHW) -> nn.Module:
        """Returns the network with initial weights; logits ``[B, C, D, H, W]`` from ``[B, 1, D, H, W]``.

        A `DeeplySupervised` one (training/loop/objective.py) returns auxiliary logits too in training.

        Torch is imported here, not with the family.

        Args:
            num_classes: output channels, background included.
            patch: voxels, as `patch_rule` accepts them.
        """
        ...

    def build(self, num_classes: int, patch: int | DHW) -> nn.Module:
        """Builds the network.

        Args:
            num_classes: output channels, background included.
            patch: voxels, or one number for a cube.

        Raises:
            UsageError: the number of classes or the patch is invalid.
            MissingExtraError: the packages of the ``train`` extra are not installed.
            InputError: a file of weights was refused.
        """
        num_classes = arguments.whole_number("num_classes", num_classes, 2, MAX_LABELS)
        sizes = self._checked_patch(patch)
        with extra_named():
            return self.network(num_classes, sizes)

    def _checked_patch(self, patch: int | DHW) -> DHW:
        rule = f"(D, H, W) {self.patch_rule}, at most {MAX_PATCH_VOXELS:,} in all"
        sizes = arguments.dhw("patch", [patch] * 3 if isinstance(patch, Integral) else patch, rule)
        if not self.patch_rule.accepts(sizes) or prod(sizes) > MAX_PATCH_VOXELS:
            arguments.refuse("patch", rule, sizes)
        return sizes

    def without_files(self) -> TeacherConfig:
        """Returns the configuration of the same network with random initial weights."""
        files = [name for name, each in self.options().items() if each.metadata["kind"] is OptionKind.FILE]
        return replace(self, **dict.fromkeys(files))

    def recorded(self) -> ModelConfig:
        """Returns the teacher's entry for a run's configuration.

        Raises:
            OSError: a file of weights cannot be read for its hash.
        """
        recorded: dict[str, str | int | float | bool] = {}
        config = self.resolved()
        for name, each in self.options().items():
            value, kind = getattr(config, name), each.metadata["kind"]
            if kind is OptionKind.FILE and value is not None:
                recorded |= {name: Path(value).name, f"{name}_sha256": file_sha256(Path(value))}
            elif value is not None and (kind is OptionKind.DESIGN or value != each.default):
                recorded[name] = value
        return ModelConfig(kind="teacher", name=self.name, options=recorded)

    def continuing(self, model: ModelConfig) -> TeacherConfig:
        """Returns the configuration to resume a run with.

        An option that was not given and that the run predates has the value it had at that time.

        Args:
            model: the teacher's entry in the run's configuration.
        """
        earlier = {
            name: each.metadata["unrecorded"]
            for name, each in self.options().items()
            if name not in model.options and getattr(self, name) == each.default
        }
        return replace(self, **earlier)
