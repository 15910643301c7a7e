"""What a teacher is made of, in one struct: built from it, written into its run, read back from there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.files.hashing import file_sha256
from ..training.runs.run_config import ModelConfig
from . import build_teacher
from .variants import find_variant

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    """The choices between teachers; number of classes and patch are the task's.

    Attributes:
        name: a row of `TEACHERS`.
        sam: SAM's image encoder: vit_b, vit_l, vit_h or vit_nano.
        checkpoint: SAM's weights for it; None starts from random weights.
        preset: "paper" or "released_code".
        apg: with the auto prompt generator.
        mlam: with multi-layer aggregation.
        checkpoint_activations: compute activations again in the backward pass instead of keeping them.
    """

    name: str = "autosam"
    sam: str = "vit_b"
    checkpoint: Path | None = None
    preset: str = "paper"
    apg: bool = True
    mlam: bool = True
    checkpoint_activations: bool = False

    @property
    def title(self) -> str:
        """The design in words."""
        left_out = [words for words, built in (("auto prompt generator", self.apg), ("MLAM", self.mlam)) if not built]
        without = f" without {' and '.join(left_out)}" if left_out else ""
        return f"{self.name} with {self.sam}{without}, preset {self.preset}"

    @property
    def lacks_weights(self) -> bool:
        """Whether weights of this size are published and none are given."""
        return self.checkpoint is None and find_variant(self.sam).public

    def build(self, num_classes: int, patch: int | tuple[int, int, int]) -> nn.Module:
        """Builds the network; see `build_teacher`, which it calls with the same errors.

        Args:
            num_classes: output channels, background included.
            patch: voxels, one number or (D, H, W).
        """
        return build_teacher(
            self.name, num_classes=num_classes, sam=self.sam, checkpoint=self.checkpoint, preset=self.preset,
            patch=patch, apg=self.apg, mlam=self.mlam, checkpoint_activations=self.checkpoint_activations,
        )  # fmt: skip

    def recorded(self) -> ModelConfig:
        """Returns what a run's configuration says of the teacher; SAM's weights, which are read, by name and SHA-256.

        Raises:
            OSError: the checkpoint cannot be read.
        """
        options: dict[str, str | int | float | bool] = {
            "sam": self.sam, "preset": self.preset, "apg": self.apg, "mlam": self.mlam,
        }  # fmt: skip
        if self.checkpoint is not None:
            options |= {"checkpoint": self.checkpoint.name, "checkpoint_sha256": file_sha256(self.checkpoint)}
        if self.checkpoint_activations:
            options["checkpoint_activations"] = True
        return ModelConfig(kind="teacher", name=self.name, options=options)

    @staticmethod
    def of(config: ModelConfig) -> TeacherConfig:
        """Returns the design of a trained teacher; its weights are the run's, SAM's are not needed again."""
        options = config.options
        return TeacherConfig(
            name=config.name, sam=str(options["sam"]), preset=str(options.get("preset", "paper")),
            apg=bool(options.get("apg", True)), mlam=bool(options.get("mlam", True)),
        )  # fmt: skip
