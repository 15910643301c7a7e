"""AutoSAM Adapter: SAM's image encoder in 3D, an auto prompt generator and a light mask decoder.

Equals `reference.plain_logits`; read that function first.

Source: "Auto-Prompting SAM for Mobile Friendly 3D Medical Image Segmentation", section 3 and Fig. 2.
"""

from __future__ import annotations

from torch import Tensor, nn

from ...runtime.axes import DHW
from ..sam.network import SamTeacher
from ..sam.sizes import find_sam_size
from .components import freeze_sam
from .config import AutoSamConfig
from .decoder import MaskDecoder
from .designs import find_design
from .encoder import VolumeEncoder
from .patch_embedding import TOKEN_VOXELS
from .prompt_generator import AutoPromptGenerator


class AutoSam(SamTeacher[AutoSamConfig]):
    """The AutoSAM Adapter network.

    Args:
        config: options of the network; its checkpoint is not read.
        num_classes: output channels, background included.
        patch: voxels, each a multiple of 32.

    Attributes:
        config: the options it was built from.
        patch: voxels of its input.
        encoder: SAM's image encoder for volumes.
        prompt_generator: the auto prompt generator, or an identity (``apg=False``).
        decoder: the mask decoder.
    """

    def __init__(self, config: AutoSamConfig, num_classes: int, patch: DHW) -> None:
        super().__init__(config, patch)
        size, design = find_sam_size(config.sam), find_design(config.preset)
        self.head_stages = design.head_stages if config.mlam else ()
        self.prompt_stage = design.prompt_stage
        stages = (*self.head_stages, self.prompt_stage)
        self.encoder = VolumeEncoder(
            size,
            design,
            patch,
            depth_axis=config.depth_axis,
            stages=stages,
            checkpoint_activations=config.checkpoint_activations,
        )
        tokens = DHW(*(edge // TOKEN_VOXELS for edge in patch))
        self.prompt_generator = (
            AutoPromptGenerator(size.neck_width, size.prompt_widths, tokens) if config.apg else nn.Identity()
        )
        self.decoder = MaskDecoder(size.neck_width, size.decoder_width, len(stages), num_classes)
        if not config.trains_encoder:
            freeze_sam(self)
        self.log_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits ``[B, classes, D, H, W]`` of patches ``[B, 1, D, H, W]``.

        Raises:
            UsageError: the input is not a batch of patches of the configured size.
        """
        self.check_input(x)
        maps = self.encoder(x)
        prompt = self.prompt_generator(maps[self.prompt_stage])
        return self.decoder([*(maps[stage] for stage in self.head_stages), prompt], x)
