"""The configuration of the AutoSAM Adapter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ...runtime import arguments
from ...runtime.errors import UsageError
from ...training.patch_rule import PatchRule
from ..config import option
from ..sam.config import SamConfig
from ..sam.sizes import find_sam_size
from .components import component_of
from .designs import DESIGNS, find_design

if TYPE_CHECKING:
    from ...runtime.axes import DHW
    from .network import AutoSam


@dataclass(frozen=True, kw_only=True)
class AutoSamConfig(SamConfig):
    """The options of an AutoSAM Adapter, checked when it is created; ``docs/teachers.md`` explains them.

    Raises:
        UsageError: an option has an invalid value, or two of them contradict each other.
    """

    name: str = "autosam"
    preset: str = option("paper", f"{' or '.join(DESIGNS)}.")
    apg: bool = option(True, "Ablation: leave the auto prompt generator out.")
    mlam: bool = option(True, "Ablation: leave multi-layer aggregation out; decode the prompt alone.")

    # Whole attention windows: each is 8 tokens of 4 voxels along an axis.
    patch_rule: ClassVar[PatchRule] = PatchRule(multiple=32)

    def __post_init__(self) -> None:
        super().__post_init__()
        design = find_design(self.preset)
        for name in ("apg", "mlam"):
            arguments.flag(name, getattr(self, name))
        if not self.mlam and design.prompt_stage != 4:
            raise UsageError(
                f'mlam=False with preset "{self.preset}" would leave most of the encoder unused; take preset "paper"'
            )

    @property
    def title(self) -> str:
        """One-line description, such as ``autosam with vit_b, preset paper``."""
        return self.titled({"auto prompt generator": self.apg, "MLAM": self.mlam}, [f"preset {self.preset}"])

    def component(self, parameter: str) -> str:
        """Returns the component of `COMPONENTS` that a parameter belongs to, or its outermost module."""
        return component_of(parameter) or super().component(parameter)

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
