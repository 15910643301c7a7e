"""The configuration of 3D-SAutoMed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...runtime import arguments
from ..config import option
from ..sam.config import SliceSamConfig
from ..sam.sizes import find_sam_size
from .walks import ORDERS

if TYPE_CHECKING:
    from ...runtime.axes import DHW
    from .network import SAutoMed

_COMPONENTS = (
    ("attn.qkv.down_", "LoRA"),
    ("attn.qkv.up_", "LoRA"),
    ("image_encoder.", "image encoder"),
    ("sharing.", "slice sharing"),
    ("generator.", "box prompt generator"),
    ("filter.", "history"),
    ("no_mask_embed.", "mask decoder"),
    ("mask_decoder.", "mask decoder"),
)


@dataclass(frozen=True, kw_only=True)
class SAutoMedConfig(SliceSamConfig):
    """The options of a 3D-SAutoMed, checked when it is created; ``docs/teachers.md`` explains them.

    Raises:
        UsageError: an option has an invalid value.
    """

    name: str = "3d-sautomed"
    order: str = option("middle", "Order of the slices: middle (to both ends) or end (first to last).")
    local: bool = option(True, "Ablation: leave the attention between neighbouring slices out.")
    history: bool = option(True, "Ablation: leave the historical information tokens out.")
    prompts: bool = option(True, "Ablation: leave the box prompt generator out.")

    def __post_init__(self) -> None:
        super().__post_init__()
        arguments.one_of("order", self.order, ORDERS)
        for name in ("local", "history", "prompts"):
            arguments.flag(name, getattr(self, name))

    @property
    def title(self) -> str:
        """One-line description, such as ``3d-sautomed with vit_b``."""
        parts = {"slice sharing": self.local, "history": self.history, "prompts": self.prompts}
        return self.titled(parts, ["" if self.order == "middle" else "from end to end"])

    def component(self, parameter: str) -> str:
        """Returns the part of the network that a parameter is counted with."""
        found = (component for part, component in _COMPONENTS if part in parameter)
        return next(found, None) or super().component(parameter)

    def network(self, num_classes: int, patch: DHW) -> SAutoMed:
        """Returns the network with SAM's weights, or with random ones if there is no checkpoint.

        Raises:
            InputError: the checkpoint is not the SAM that ``sam`` names.
        """
        from .network import SAutoMed
        from .weights import load_sam

        model = SAutoMed(self, num_classes, patch)
        if self.checkpoint is not None:
            load_sam(model, find_sam_size(self.sam), self.checkpoint)
        return model
