"""The configuration of the AutoSAM Adapter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ...runtime import arguments
from ...runtime.errors import UsageError
from ...training.patch_rule import PatchRule
from ..config import OptionKind, TeacherConfig, option
from ..depth_axes import DEPTH_AXES
from ..sam.sizes import SAM_SIZES, find_sam_size
from .components import component_of
from .designs import DESIGNS, find_design

if TYPE_CHECKING:
    from ...runtime.axes import DHW
    from .network import AutoSam


@dataclass(frozen=True, kw_only=True)
class AutoSamConfig(TeacherConfig):
    """The options of an AutoSAM Adapter, checked when it is created; ``docs/teachers.md`` explains them.

    Raises:
        UsageError: an option has an invalid value, or two of them contradict each other.
    """

    name: str = "autosam"
    sam: str = option("vit_b", f"SAM encoder: {', '.join(SAM_SIZES)}; vit_small and vit_nano are for CPUs.")
    checkpoint: Path | None = option(  # noqa: RUF009 - a field
        None, "SAM's weights, such as sam_vit_b_01ec64.pth.", OptionKind.FILE
    )
    preset: str = option("paper", f"{' or '.join(DESIGNS)}.")
    depth_axis: str = option("z", f"Axis that SAM's planes are stacked along: {', '.join(DEPTH_AXES)}; z is axial.")
    apg: bool = option(True, "Ablation: leave the auto prompt generator out.")
    mlam: bool = option(True, "Ablation: leave multi-layer aggregation out; decode the prompt alone.")
    train_encoder: bool | None = option(
        None,
        "Train all of SAM's encoder, or keep its weights frozen; if neither is given, train a size without public "
        "weights (vit_small, vit_nano).",
        unrecorded=False,
    )
    checkpoint_activations: bool = option(
        False, "Less memory, more work: keep no activations of blocks.", OptionKind.COMPUTATION
    )

    # Whole attention windows: each is 8 tokens of 4 voxels along an axis.
    patch_rule: ClassVar[PatchRule] = PatchRule(multiple=32)

    def __post_init__(self) -> None:
        find_sam_size(self.sam)
        design = find_design(self.preset)
        arguments.optional(arguments.path, "checkpoint", self.checkpoint)
        arguments.one_of("depth_axis", self.depth_axis, DEPTH_AXES)
        for name in ("apg", "mlam", "checkpoint_activations"):
            arguments.flag(name, getattr(self, name))
        arguments.optional(arguments.flag, "train_encoder", self.train_encoder)
        if not self.mlam and design.prompt_stage != 4:
            raise UsageError(
                f'mlam=False with preset "{self.preset}" would leave most of the encoder unused; take preset "paper"'
            )

    @property
    def title(self) -> str:
        """One-line description, such as ``autosam with vit_b, preset paper``."""
        left_out = [part for part, built in (("auto prompt generator", self.apg), ("MLAM", self.mlam)) if not built]
        without = f" without {' and '.join(left_out)}" if left_out else ""
        encoder = (
            ""
            if self.trains_encoder == self._trains_by_default
            else f", encoder {'trained' if self.trains_encoder else 'frozen'}"
        )
        axis = "" if self.depth_axis == "z" else f", depth axis {self.depth_axis}"
        checkpointed = ", activations checkpointed" if self.checkpoint_activations else ""
        return f"{self.name} with {self.sam}{without}{encoder}, preset {self.preset}{axis}{checkpointed}"

    @property
    def trains_encoder(self) -> bool:
        """Whether SAM's own weights train too; by default where none are public, as there is nothing to preserve."""
        return self._trains_by_default if self.train_encoder is None else self.train_encoder

    @property
    def _trains_by_default(self) -> bool:
        return not find_sam_size(self.sam).public

    @property
    def encoder(self) -> str:
        """Name of SAM's image encoder."""
        return self.sam

    @property
    def lacks_weights(self) -> bool:
        """Whether SAM's encoder is frozen and no checkpoint is given."""
        return self.checkpoint is None and not self.trains_encoder

    def component(self, parameter: str) -> str:
        """Returns the component of `COMPONENTS` that a parameter belongs to, or its outermost module."""
        return component_of(parameter) or super().component(parameter)

    def resolved(self) -> AutoSamConfig:
        """Returns the configuration that says whether the encoder trains."""
        return replace(self, train_encoder=self.trains_encoder)

    def network(self, num_classes: int, patch: DHW) -> AutoSam:
        """Returns the network with SAM's weights, or with random ones if there is no checkpoint.

        Raises:
            InputError: the checkpoint is not the SAM image encoder that ``sam`` names.
        """
        from .network import AutoSam
        from .weights import load_sam_weights

        model = AutoSam(self, num_classes, patch)
        if self.checkpoint is not None:
            load_sam_weights(model.encoder, find_sam_size(self.sam), self.checkpoint)
        return model
