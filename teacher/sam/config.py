"""The options that networks around SAM share, and those that see a volume slice by slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, TypeVar

from ...runtime import arguments
from ...training.patch_rule import PatchRule
from ..config import OptionKind, TeacherConfig, option
from ..depth_axes import DEPTH_AXES
from .sizes import SAM_SIZES, find_sam_size

Config = TypeVar("Config", bound="SamConfig")

ENLARGEMENTS = (1, 2, 4)
_MOST_SLICES = 4096


@dataclass(frozen=True, kw_only=True)
class SamConfig(TeacherConfig):
    """The options of every network around SAM.

    Raises:
        UsageError: an option has an invalid value.
    """

    sam: str = option("vit_b", f"SAM: {', '.join(SAM_SIZES)}; vit_small and vit_nano are for CPUs.")
    checkpoint: Path | None = option(  # noqa: RUF009 - a field
        None, "SAM's weights, such as sam_vit_b_01ec64.pth.", OptionKind.FILE
    )
    depth_axis: str = option("z", f"Axis that slices are stacked along: {', '.join(DEPTH_AXES)}; z is axial.")
    train_encoder: bool | None = option(
        None,
        "Train SAM's own weights too, or only what is added to them; if neither is given, train a size without "
        "public weights (vit_small, vit_nano).",
        unrecorded=False,
    )
    checkpoint_activations: bool = option(
        False, "Less memory, more work: keep no activations of blocks.", OptionKind.COMPUTATION
    )

    def __post_init__(self) -> None:
        find_sam_size(self.sam)
        arguments.optional(arguments.path, "checkpoint", self.checkpoint)
        arguments.one_of("depth_axis", self.depth_axis, DEPTH_AXES)
        arguments.optional(arguments.flag, "train_encoder", self.train_encoder)
        arguments.flag("checkpoint_activations", self.checkpoint_activations)

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

    def resolved(self: Config) -> Config:
        """Returns the configuration that says whether SAM's weights train."""
        return replace(self, train_encoder=self.trains_encoder)

    def titled(self, parts: Mapping[str, bool], notes: Sequence[str]) -> str:
        """Returns a one-line description that names what differs from the paper.

        Args:
            parts: parts that can be left out: whether they are built.
            notes: what else differs; empty texts do not count.
        """
        left_out = [part for part, built in parts.items() if not built]
        without = f" without {' and '.join(left_out)}" if left_out else ""
        trained = "trained" if self.trains_encoder else "frozen"
        notes = [
            "" if self.trains_encoder == self._trains_by_default else f"encoder {trained}",
            *notes,
            "" if self.depth_axis == "z" else f"depth axis {self.depth_axis}",
            "activations checkpointed" if self.checkpoint_activations else "",
        ]
        return ", ".join([f"{self.name} with {self.sam}{without}", *(note for note in notes if note)])


@dataclass(frozen=True, kw_only=True)
class SliceSamConfig(SamConfig):
    """The options of a network that takes SAM slice by slice.

    Raises:
        UsageError: an option has an invalid value.
    """

    enlarge: int = option(4, "Pixels per voxel along each side of a slice: 1, 2 or 4; 4 gives masks of full size.")
    slices: int = option(8, "Slices that pass SAM at once.", OptionKind.COMPUTATION)

    # Whole tokens with every enlargement: SAM's tokens are 16 pixels.
    patch_rule: ClassVar[PatchRule] = PatchRule(multiple=16)

    def __post_init__(self) -> None:
        super().__post_init__()
        arguments.whole_number("enlarge", self.enlarge, 1, max(ENLARGEMENTS))
        if self.enlarge not in ENLARGEMENTS:
            arguments.refuse("enlarge", "1, 2 or 4", self.enlarge)
        arguments.whole_number("slices", self.slices, 1, _MOST_SLICES)

    def titled(self, parts: Mapping[str, bool], notes: Sequence[str]) -> str:
        """Returns a one-line description that names what differs from the paper; see `SamConfig.titled`."""
        return super().titled(parts, [*notes, "" if self.enlarge == 4 else f"enlarged {self.enlarge}×"])
