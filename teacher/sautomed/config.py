"""The configuration of 3D-SAutoMed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ...runtime import arguments
from ...training.patch_rule import PatchRule
from ..config import OptionKind, TeacherConfig, option
from ..depth_axes import DEPTH_AXES
from ..sam.sizes import SAM_SIZES, find_sam_size
from .walks import ORDERS

if TYPE_CHECKING:
    from ...runtime.axes import DHW
    from .network import SAutoMed

ENLARGEMENTS = (1, 2, 4)
_MOST_SLICES = 4096

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
class SAutoMedConfig(TeacherConfig):
    """The options of a 3D-SAutoMed, checked when it is created; ``docs/teachers.md`` explains them.

    Raises:
        UsageError: an option has an invalid value.
    """

    name: str = "3d-sautomed"
    sam: str = option("vit_b", f"SAM encoder: {', '.join(SAM_SIZES)}; vit_small and vit_nano are for CPUs.")
    checkpoint: Path | None = option(  # noqa: RUF009 - a field
        None, "SAM's weights, such as sam_vit_b_01ec64.pth.", OptionKind.FILE
    )
    depth_axis: str = option("z", f"Axis that slices are stacked along: {', '.join(DEPTH_AXES)}; z is axial.")
    enlarge: int = option(4, "Pixels per voxel along each side of a slice: 1, 2 or 4; 4 gives masks of full size.")
    order: str = option("middle", "Order of the slices: middle (to both ends) or end (first to last).")
    local: bool = option(True, "Ablation: leave the attention between neighbouring slices out.")
    history: bool = option(True, "Ablation: leave the historical information tokens out.")
    prompts: bool = option(True, "Ablation: leave the box prompt generator out.")
    train_encoder: bool | None = option(
        None,
        "Train all of SAM's encoder, or LoRA alone; if neither is given, train a size without public weights "
        "(vit_small, vit_nano).",
    )
    slices: int = option(8, "Slices that pass the image encoder at once.", OptionKind.COMPUTATION)
    checkpoint_activations: bool = option(
        False, "Less memory, more work: keep no activations of blocks.", OptionKind.COMPUTATION
    )

    # Whole tokens with every enlargement: SAM's tokens are 16 pixels.
    patch_rule: ClassVar[PatchRule] = PatchRule(multiple=16)

    def __post_init__(self) -> None:
        find_sam_size(self.sam)
        arguments.optional(arguments.path, "checkpoint", self.checkpoint)
        arguments.one_of("depth_axis", self.depth_axis, DEPTH_AXES)
        arguments.one_of("order", self.order, ORDERS)
        arguments.whole_number("enlarge", self.enlarge, 1, max(ENLARGEMENTS))
        if self.enlarge not in ENLARGEMENTS:
            arguments.refuse("enlarge", "1, 2 or 4", self.enlarge)
        arguments.whole_number("slices", self.slices, 1, _MOST_SLICES)
        for name in ("local", "history", "prompts", "checkpoint_activations"):
            arguments.flag(name, getattr(self, name))
        arguments.optional(arguments.flag, "train_encoder", self.train_encoder)

    @property
    def title(self) -> str:
        """One-line description, such as ``3d-sautomed with vit_b``."""
        parts = {"slice sharing": self.local, "history": self.history, "prompts": self.prompts}
        left_out = [part for part, built in parts.items() if not built]
        without = f" without {' and '.join(left_out)}" if left_out else ""
        notes = [
            "" if self.trains_encoder == self._trains_by_default else f"encoder {self._encoder_state}",
            "" if self.order == "middle" else "from end to end",
            "" if self.enlarge == 4 else f"enlarged {self.enlarge}×",
            "" if self.depth_axis == "z" else f"depth axis {self.depth_axis}",
            "activations checkpointed" if self.checkpoint_activations else "",
        ]
        return ", ".join([f"{self.name} with {self.sam}{without}", *(note for note in notes if note)])

    @property
    def _encoder_state(self) -> str:
        return "trained" if self.trains_encoder else "frozen"

    @property
    def trains_encoder(self) -> bool:
        """Whether SAM's own weights of the encoder train beside LoRA; by default where none are public."""
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
        """Returns the part of the network that a parameter is counted with."""
        found = (component for part, component in _COMPONENTS if part in parameter)
        return next(found, None) or super().component(parameter)

    def resolved(self) -> SAutoMedConfig:
        """Returns the configuration that says whether the encoder trains."""
        return replace(self, train_encoder=self.trains_encoder)

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
