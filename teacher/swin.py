"""SwinUNETR as a teacher: a Swin transformer with a decoder of 3D convolutions, trained from scratch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..runtime import arguments
from ..training.patch_rule import PatchRule
from .config import OptionKind, TeacherConfig, option

if TYPE_CHECKING:
    from torch import nn

    from ..runtime.axes import DHW

_FEATURE_MULTIPLE = 12  # MONAI refuses others
_MOST_FEATURES = 192
_LARGEST_WINDOW = 16


@dataclass(frozen=True, kw_only=True)
class SwinUnetrConfig(TeacherConfig):
    """The options of a SwinUNETR, checked when it is created.

    Source: Hatamizadeh et al., "Swin UNETR: Swin Transformers for Semantic Segmentation of Brain Tumors in MRI Images"
    (arXiv:2201.01266), section 3; the network is MONAI's. The students ``swinunetr-tiny`` and ``swinunetr-small`` are
    the same network with 12 and 24 features.

    Raises:
        UsageError: an option has an invalid value.
    """

    name: str = "swinunetr"
    feature_size: int = option(48, "Channels at full resolution, a multiple of 12; each further level doubles them.")
    window: int = option(7, "Tokens along each side of an attention window.")
    checkpoint_activations: bool = option(
        False, "Less memory, more work: keep no activations of blocks.", OptionKind.COMPUTATION
    )

    patch_rule: ClassVar[PatchRule] = PatchRule.of_stride(32)

    def __post_init__(self) -> None:
        arguments.whole_number("feature_size", self.feature_size, _FEATURE_MULTIPLE, _MOST_FEATURES)
        if self.feature_size % _FEATURE_MULTIPLE:
            arguments.refuse("feature_size", f"a multiple of {_FEATURE_MULTIPLE}", self.feature_size)
        arguments.whole_number("window", self.window, 2, _LARGEST_WINDOW)
        arguments.flag("checkpoint_activations", self.checkpoint_activations)

    @property
    def title(self) -> str:
        """One-line description, such as ``swinunetr with 48 features, window 7``."""
        checkpointed = ", activations checkpointed" if self.checkpoint_activations else ""
        return f"{self.name} with {self.feature_size} features, window {self.window}{checkpointed}"

    def network(self, num_classes: int, patch: DHW) -> nn.Module:
        """Returns the network with random weights."""
        from monai.networks.nets.swin_unetr import SwinUNETR

        return SwinUNETR(
            in_channels=1,
            out_channels=num_classes,
            feature_size=self.feature_size,
            depths=(2, 2, 2, 2),
            num_heads=(3, 6, 12, 24),
            window_size=self.window,
            use_checkpoint=self.checkpoint_activations,
            spatial_dims=3,
        )
