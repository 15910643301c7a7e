"""AutoSAM Adapter: SAM's image encoder in 3D, an auto prompt generator and a light mask decoder.

Equals `plain.plain_logits`; read that function first.

Source: "Auto-Prompting SAM for Mobile Friendly 3D Medical Image Segmentation", section 3 and Fig. 2.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path

from torch import Tensor, nn

from ..runtime import arguments
from ..runtime.errors import UsageError
from ..runtime.task import MAX_LABELS, MAX_PATCH_VOXELS
from .decoder import MaskDecoder
from .encoder import DEPTH_AXES, VolumeEncoder
from .parameters import count_parameters, freeze_sam
from .patch_embedding import TOKEN_VOXELS
from .presets import find_preset
from .prompt_generator import AutoPromptGenerator
from .sam_weights import load_sam_weights
from .variants import find_variant

PATCH_MULTIPLE = 32
"""A patch is a whole number of attention windows, each 8 tokens of 4 voxels along an axis."""
_PATCHES = f"(D, H, W) in multiples of {PATCH_MULTIPLE} voxels, at most {MAX_PATCH_VOXELS:,} in all"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AutoSamConfig:
    """The configuration of an AutoSAM Adapter, checked when it is created.

    Attributes:
        num_classes: output channels, background included.
        sam: name of the SAM variant.
        preset: name of the preset.
        patch: voxels (D, H, W), each a multiple of 32.
        depth_axis: the axis that SAM's planes are stacked along.
        apg: whether the network has the auto prompt generator.
        mlam: whether the decoder aggregates several encoder stages.
    """

    num_classes: int
    sam: str = "vit_b"
    preset: str = "paper"
    patch: tuple[int, int, int] = (128, 128, 128)
    depth_axis: str = "z"
    apg: bool = True
    mlam: bool = True

    def __post_init__(self) -> None:
        find_variant(self.sam)
        preset = find_preset(self.preset)
        arguments.whole_number("num_classes", self.num_classes, 2, MAX_LABELS)
        arguments.flag("apg", self.apg)
        arguments.flag("mlam", self.mlam)
        patch = arguments.triple("patch", self.patch, _PATCHES)
        if any(size % PATCH_MULTIPLE for size in patch) or math.prod(patch) > MAX_PATCH_VOXELS:
            arguments.refuse("patch", _PATCHES, self.patch)
        arguments.one_of("depth_axis", self.depth_axis, DEPTH_AXES)
        if not self.mlam and preset.prompt_stage != 4:
            raise UsageError(
                f'mlam=False with preset "{self.preset}" would leave most of the encoder unused; take preset "paper"'
            )


class AutoSam(nn.Module):
    """The AutoSAM Adapter network.

    Args:
        config: configuration of the network.
        checkpoint_activations: whether to keep only the tokens between blocks, and recompute every block in the
            backward pass.

    Attributes:
        config: the configuration it was built from.
        encoder: SAM's image encoder for volumes.
        prompt_generator: the auto prompt generator, or an identity (``apg=False``).
        decoder: the mask decoder.
    """

    def __init__(self, config: AutoSamConfig, *, checkpoint_activations: bool = False) -> None:
        super().__init__()
        variant, preset = find_variant(config.sam), find_preset(config.preset)
        self.config = config
        self.head_stages = preset.head_stages if config.mlam else ()
        self.prompt_stage = preset.prompt_stage
        stages = (*self.head_stages, self.prompt_stage)
        self.encoder = VolumeEncoder(
            variant,
            preset,
            config.patch,
            depth_axis=config.depth_axis,
            stages=stages,
            checkpoint_activations=checkpoint_activations,
        )
        d, h, w = (size // TOKEN_VOXELS for size in config.patch)
        self.prompt_generator = (
            AutoPromptGenerator(variant.neck_width, variant.prompt_widths, (d, h, w)) if config.apg else nn.Identity()
        )
        self.decoder = MaskDecoder(variant.neck_width, variant.decoder_width, len(stages), config.num_classes)
        freeze_sam(self)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits ``[B, classes, D, H, W]`` of patches ``[B, 1, D, H, W]``.

        Raises:
            UsageError: the input is not a batch of patches of the configured size.
        """
        if x.ndim != 5 or x.shape[1] != 1 or tuple(x.shape[2:]) != self.config.patch:
            expected = "×".join(str(size) for size in self.config.patch)
            raise UsageError(f"teacher input: expected [B, 1, {expected}], got {list(x.shape)}; cut into patches")
        maps = self.encoder(x)
        prompt = self.prompt_generator(maps[self.prompt_stage])
        return self.decoder([*(maps[stage] for stage in self.head_stages), prompt], x)


def build_autosam(
    *,
    num_classes: int,
    sam: str,
    checkpoint: str | Path | None,
    preset: str,
    patch: int | tuple[int, int, int],
    depth_axis: str,
    apg: bool,
    mlam: bool,
    checkpoint_activations: bool = False,
) -> AutoSam:
    """Builds an AutoSAM Adapter and loads SAM's weights into it; see `bedside.teacher.build_teacher`.

    Raises:
        UsageError: a name or option is unknown, or the patch is invalid.
        InputError: the checkpoint is not the SAM image encoder that ``sam`` names.
    """
    checkpoint = arguments.optional(arguments.path, "checkpoint", checkpoint)
    checkpoint_activations = arguments.flag("checkpoint_activations", checkpoint_activations)
    sizes = arguments.triple("patch", [patch] * 3 if isinstance(patch, Integral) else patch, _PATCHES)
    config = AutoSamConfig(num_classes, sam, preset, sizes, depth_axis, apg, mlam)
    model = AutoSam(config, checkpoint_activations=checkpoint_activations)
    variant = find_variant(sam)
    if checkpoint is not None:
        load_sam_weights(model.encoder, variant, checkpoint)
    counts = count_parameters(model)
    _log.info("%s: %d parameters, %d train, %d frozen", sam, counts.total, counts.trainable, counts.frozen)
    return model
