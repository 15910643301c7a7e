"""The configuration of Self-Prompt-SAM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...runtime import arguments
from ..config import option
from ..sam.config import SliceSamConfig
from ..sam.sizes import find_sam_size

if TYPE_CHECKING:
    from ...runtime.axes import DHW
    from .network import SelfPromptSam

ADAPTERS = ("fused", "after", "before", "plain", "none")
"""Where the depth MLP of an adapter stands: inside, after or before it; without one; or no adapters at all."""

GENERATORS = ("multi-scale", "stacked")

_COMPONENTS = (
    ("adapter.", "adapters"),
    ("depth_table", "depth tables"),
    ("image_encoder.", "image encoder"),
    ("prompt_encoder.", "prompt encoder"),
    ("mask_decoder.", "mask decoder"),
    ("modality.", "modality adapter"),
    ("generator.", "prompt generator"),
    ("classes.", "multi-class adapter"),
)


@dataclass(frozen=True, kw_only=True)
class SelfPromptConfig(SliceSamConfig):
    """The options of a Self-Prompt-SAM, checked when it is created; ``docs/teachers.md`` explains them.

    Raises:
        UsageError: an option has an invalid value.
    """

    name: str = "self-prompt-sam"
    generator: str = option("multi-scale", f"Ablation: prompt generator, {' or '.join(GENERATORS)} (convolutions).")
    adapter: str = option(
        "fused", f"Ablation: {', '.join(ADAPTERS)}: place of the depth MLP in SAM's adapters; plain has none."
    )
    depth_position: bool = option(True, "Ablation: leave the depth position tables out.")
    modality_adapter: bool = option(True, "Ablation: enlarge slices bilinearly in place of the modality adapter.")
    class_adapter: bool = option(True, "Ablation: leave the multi-class adapter out.")

    def __post_init__(self) -> None:
        super().__post_init__()
        arguments.one_of("generator", self.generator, GENERATORS)
        arguments.one_of("adapter", self.adapter, ADAPTERS)
        for name in ("depth_position", "modality_adapter", "class_adapter"):
            arguments.flag(name, getattr(self, name))

    @property
    def title(self) -> str:
        """One-line description, such as ``self-prompt-sam with vit_b``."""
        parts = {
            "adapters": self.adapter != "none",
            "depth tables": self.depth_position,
            "modality adapter": self.modality_adapter,
            "multi-class adapter": self.class_adapter,
        }
        depth_mlp = "without depth MLP" if self.adapter == "plain" else f"with the depth MLP {self.adapter} them"
        notes = [
            "" if self.generator == "multi-scale" else "prompted by stacked convolutions",
            "" if self.adapter in ("fused", "none") else f"adapters {depth_mlp}",
        ]
        return self.titled(parts, notes)

    def component(self, parameter: str) -> str:
        """Returns the part of the network that a parameter is counted with."""
        found = (component for part, component in _COMPONENTS if part in parameter)
        return next(found, None) or super().component(parameter)

    def network(self, num_classes: int, patch: DHW) -> SelfPromptSam:
        """Returns the network with SAM's weights, or with random ones if there is no checkpoint.

        Raises:
            InputError: the checkpoint is not the SAM that ``sam`` names.
        """
        from .network import SelfPromptSam
        from .weights import load_sam

        model = SelfPromptSam(self, num_classes, patch)
        if self.checkpoint is not None:
            load_sam(model, find_sam_size(self.sam), self.checkpoint)
        return model
