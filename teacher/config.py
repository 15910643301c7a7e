"""The configuration of a teacher: builds the network, is written into the run, and is read back from it."""

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
    """The options of a teacher; number of classes and patch come from the task.

    Attributes:
        name: a row of `TEACHERS`.
        sam: SAM's image encoder: vit_b, vit_l, vit_h or vit_nano.
        checkpoint: SAM's checkpoint file for this encoder; None starts from random weights.
        preset: "paper" or "released_code".
        apg: whether the network has the auto prompt generator.
        mlam: whether the decoder aggregates several encoder stages.
        checkpoint_activations: whether the backward pass recomputes activations instead of keeping them.
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
        """One-line description, such as ``autosam with vit_b, preset paper``."""
        left_out = [words for words, built in (("auto prompt generator", self.apg), ("MLAM", self.mlam)) if not built]
        without = f" without {' and '.join(left_out)}" if left_out else ""
        return f"{self.name} with {self.sam}{without}, preset {self.preset}"

    @property
    def lacks_weights(self) -> bool:
        """Whether Meta publishes weights of this size and no checkpoint is given."""
        return self.checkpoint is None and find_variant(self.sam).public

    def build(self, num_classes: int, patch: int | tuple[int, int, int]) -> nn.Module:
        """Builds the network by `build_teacher`, with the same errors.

        Args:
            num_classes: output channels, background included.
            patch: voxels, one number or (D, H, W).
        """
        return build_teacher(
            self.name,
            num_classes=num_classes,
            sam=self.sam,
            checkpoint=self.checkpoint,
            preset=self.preset,
            patch=patch,
            apg=self.apg,
            mlam=self.mlam,
            checkpoint_activations=self.checkpoint_activations,
        )

    def recorded(self) -> ModelConfig:
        """Returns the teacher's entry for a run's configuration; it names SAM's checkpoint by file name and SHA-256.

        Raises:
            OSError: the checkpoint cannot be read for its hash.
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
        """Returns the configuration of a trained teacher, without SAM's checkpoint: the run holds all weights."""
        options = config.options
        return TeacherConfig(
            name=config.name,
            sam=str(options["sam"]),
            preset=str(options.get("preset", "paper")),
            apg=bool(options.get("apg", True)),
            mlam=bool(options.get("mlam", True)),
        )
