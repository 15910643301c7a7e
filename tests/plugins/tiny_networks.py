"""A package of another project, installed for tests by putting this folder on the path: a student and a teacher family.

Both are networks of two convolutions, which train in a fraction of a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bedside.distill import PatchRule, StudentSpec
from bedside.runtime import arguments
from bedside.teacher import TeacherFamily
from bedside.teacher.config import OptionKind, TeacherConfig, option
from bedside.training.recipe import Recipe


def network(classes, width=2):
    """Returns logits [B, classes, D, H, W] of images [B, 1, D, H, W]."""
    from torch import nn

    return nn.Sequential(nn.Conv3d(1, width, 3, padding=1), nn.ReLU(), nn.Conv3d(width, classes, 1))


@dataclass(frozen=True, kw_only=True)
class TinyConfig(TeacherConfig):
    """The options of the tiny teacher."""

    name: str = "tiny"
    width: int = option(2, "Channels between the two convolutions.")
    frozen: bool = option(True, "Train the first convolution too.")
    checkpoint: Path | None = option(None, "Weights that nobody reads.", OptionKind.FILE)  # noqa: RUF009 - a field

    patch_rule: ClassVar[PatchRule] = PatchRule(multiple=4)

    def __post_init__(self) -> None:
        arguments.whole_number("width", self.width, 1, 16)

    def network(self, num_classes, patch):
        """Returns the network."""
        model = network(num_classes, self.width)
        model[0].requires_grad_(not self.frozen)
        return model


STUDENT = StudentSpec(network, "the tests", PatchRule(multiple=4))
TEACHER = TeacherFamily(TinyConfig, "the tests", recipe=Recipe(epochs=3, warmup=1, lr=0.01))
