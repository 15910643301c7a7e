"""A row of the students' registry: how the network is built, which patches it accepts, what it costs, whose it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...runtime import arguments
from ...runtime.axes import DHW
from ...runtime.extras import extra_named
from ...runtime.task import MAX_LABELS
from ...training.patch_rule import PatchRule
from ...training.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from .cost import InferenceCost


@dataclass(frozen=True)
class StudentSpec:
    """A row of `STUDENTS`.

    Attributes:
        build: returns the network with fresh weights for a number of classes, background included; it maps images
            ``[B, 1, D, H, W]`` to logits ``[B, C, D, H, W]``.
        source: source of the architecture: paper and table, or a project.
        patch_rule: the patches it accepts.
        recipe: its default training recipe for any task; `Recipe.for_task` adds the task's augmentation.
    """

    build: Callable[[int], nn.Module]
    source: str
    patch_rule: PatchRule
    recipe: Recipe = field(default_factory=Recipe)

    def cost(self, *, num_classes: int, patch: DHW | None = None) -> InferenceCost:
        """Predicts parameters, floating-point operations and memory of activations for one window; imports torch.

        Args:
            num_classes: output channels, background included.
            patch: the window, in voxels; None: the smallest one.

        Raises:
            UsageError: the number of classes is invalid, or the network does not accept the patch.
            UnpredictableCostError: the network does not run on tensors without values.
            MissingExtraError: the packages of the ``train`` extra are not installed.
        """
        num_classes = arguments.whole_number("num_classes", num_classes, 2, MAX_LABELS)
        sizes = self.patch_rule.smallest if patch is None else arguments.dhw("patch", patch)
        if not self.patch_rule.accepts(sizes):
            arguments.refuse("patch", f"(D, H, W) {self.patch_rule}", sizes)
        with extra_named():
            from .cost import inference_cost

            return inference_cost(self.build, num_classes, sizes)
