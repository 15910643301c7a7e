"""SegResNet as a teacher: a residual U-Net of 3D convolutions, trained from scratch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..runtime import arguments
from ..training.patch_rule import PatchRule
from .config import TeacherConfig, option

if TYPE_CHECKING:
    from torch import nn

    from ..runtime.axes import DHW

_LEVELS = 4
_GROUPS = 8  # of group normalisation
_MOST_FILTERS = 256
_MOST_BLOCKS = 32


@dataclass(frozen=True, kw_only=True)
class SegResNetConfig(TeacherConfig):
    """The options of a SegResNet, checked when it is created.

    Source: Myronenko, "3D MRI brain tumor segmentation using autoencoder regularization" (arXiv:1810.11654), section 2,
    without its autoencoder branch; the network is MONAI's.

    Raises:
        UsageError: an option has an invalid value.
    """

    name: str = "segresnet"
    init_filters: int = option(
        16, "Channels at full resolution, a multiple of 8; each of three further levels doubles them."
    )
    blocks: str = option("1,2,2,4", "Residual blocks at the four levels of the encoder, full resolution first.")

    patch_rule: ClassVar[PatchRule] = PatchRule(multiple=2 ** (_LEVELS - 1))  # normalised in groups of channels

    def __post_init__(self) -> None:
        arguments.whole_number("init_filters", self.init_filters, _GROUPS, _MOST_FILTERS)
        if self.init_filters % _GROUPS:
            arguments.refuse("init_filters", f"a multiple of {_GROUPS}", self.init_filters)
        self._blocks()

    @property
    def title(self) -> str:
        """One-line description, such as ``segresnet with 16 filters, blocks 1,2,2,4``."""
        return f"{self.name} with {self.init_filters} filters, blocks {self.blocks}"

    def network(self, num_classes: int, patch: DHW) -> nn.Module:
        """Returns the network with random weights."""
        from monai.networks.nets.segresnet import SegResNet

        return SegResNet(
            spatial_dims=3,
            init_filters=self.init_filters,
            in_channels=1,
            out_channels=num_classes,
            blocks_down=self._blocks(),
            blocks_up=(1,) * (_LEVELS - 1),
        )

    def _blocks(self) -> tuple[int, ...]:
        expected = f"{_LEVELS} whole numbers from 1 to {_MOST_BLOCKS}, such as 1,2,2,4"
        counts = [int(count) if count.isdecimal() else 0 for count in arguments.text("blocks", self.blocks).split(",")]
        if len(counts) != _LEVELS or not all(1 <= count <= _MOST_BLOCKS for count in counts):
            arguments.refuse("blocks", expected, self.blocks)
        return tuple(counts)
