"""Self-Prompt-SAM: SAM whole, prompted class by class with what auxiliary masks of its own encoder show.

Source: "Self-Prompt SAM: Automatic Prompt SAM Adaptation for Medical Image Segmentation", section 3 and Fig. 2.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...runtime.axes import DHW
from ...training.loop.objective import DeepLogits, DeeplySupervised
from ..depth_axes import DEPTH_AXES
from ..recompute import recomputed
from ..sam.network import SamTeacher
from ..sam.sizes import find_sam_size
from .config import SelfPromptConfig
from .depth_encoder import DepthEncoder, by_slices
from .mask_decoder import DepthMaskDecoder, SlicePromptEncoder
from .prompt_generator import PromptGenerator
from .prompts import Prompts
from .volume_adapters import ClassAdapter, ModalityAdapter

SAMS_PARTS = ("image_encoder.", "prompt_encoder.", "mask_decoder.")
ADDED = ("adapter.", "depth_table")
"""Parts of the names of parameters that are inside SAM and not SAM's."""


class SelfPromptSam(SamTeacher[SelfPromptConfig], DeeplySupervised):
    """The Self-Prompt-SAM network.

    In training, while gradients are wanted, it returns the auxiliary logits too; no other gradient reaches the
    generator's last layers, because prompts carry none.

    Args:
        config: options of the network; its checkpoint is not read.
        num_classes: output channels, background included.
        patch: voxels, each a multiple of 16.

    Attributes:
        config: the options it was built from.
        patch: voxels of its input.
        modality: the modality adapter, or None.
        image_encoder: SAM's image encoder with depth adapters.
        generator: the prompt generator.
        prompt_encoder: SAM's prompt encoder.
        depth_table: positions along depth beside SAM's dense position encoding, ``[D, C, 1, 1]``, or None.
        mask_decoder: SAM's mask decoder with depth adapters.
        classes: the multi-class adapter, or an identity.
    """

    def __init__(self, config: SelfPromptConfig, num_classes: int, patch: DHW) -> None:
        super().__init__(config, patch)
        size = find_sam_size(config.sam)
        self.axes = DEPTH_AXES[config.depth_axis]
        depth = patch[self.axes[0]]
        self.modality = ModalityAdapter(config.enlarge, config.slices) if config.modality_adapter else None
        self.image_encoder = DepthEncoder(size, depth, config)
        self.generator = PromptGenerator(
            size,
            num_classes,
            config.enlarge,
            multi_scale=config.generator == "multi-scale",
            recompute=config.checkpoint_activations,
        )
        self.prompt_encoder = SlicePromptEncoder(size)
        table = nn.Parameter(torch.zeros(depth, size.neck_width, 1, 1)) if config.depth_position else None
        self.depth_table: nn.Parameter | None = table
        self.mask_decoder = DepthMaskDecoder(size, depth, config.adapter)
        self.classes = ClassAdapter(num_classes) if config.class_adapter else nn.Identity()
        self.num_classes = num_classes
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(self._trains(name))
        self.log_parameters()

    def _trains(self, parameter: str) -> bool:
        part, _, rest = parameter.partition(".")
        if not parameter.startswith(SAMS_PARTS) or any(added in parameter for added in ADDED):
            return True
        used = part == "image_encoder" or (part == "mask_decoder" and not self.mask_decoder.unused(rest))
        return self.config.trains_encoder and used

    def forward(self, x: Tensor) -> Tensor | DeepLogits:
        """Returns logits ``[B, classes, D, H, W]`` of patches ``[B, 1, D, H, W]``; in training `DeepLogits`.

        Raises:
            UsageError: the input is not a batch of patches of the configured size.
        """
        self.check_input(x)
        slices = x.permute(0, 1, *(2 + axis for axis in self.axes))  # [B, 1, d, h, w]
        trains = self.training and torch.is_grad_enabled()
        maps = self.image_encoder(self._images(slices))
        auxiliary = self.generator(maps, all_levels=trains)
        if not trains:
            return self._in_place(self._logits(maps[-1], auxiliary[0]))
        logits = None if self.auxiliary_alone else self._in_place(self._logits(maps[-1], auxiliary[0]))
        return DeepLogits(logits, tuple(self._in_place(each) for each in auxiliary))

    def _in_place(self, logits: Tensor) -> Tensor:
        """Returns logits of slices with the axes of the patch."""
        return logits.permute(0, 1, *(2 + self.axes.index(axis) for axis in range(3)))

    def _images(self, slices: Tensor) -> Tensor:
        """Returns SAM's images ``[B, D, 3, 16·h, 16·w]`` of slices ``[B, 1, D, H, W]``."""
        if self.modality is not None:
            return self.modality(slices)
        return by_slices(self.image_encoder.enlarged, slices.transpose(1, 2), self.config.slices)

    def _logits(self, tokens: Tensor, auxiliary: Tensor) -> Tensor:
        """Returns logits ``[B, classes, D, H, W]``.

        Args:
            tokens: the encoder's last tokens ``[B, D, h, w, C]``.
            auxiliary: logits ``[B, classes, D, H, W]``.
        """
        image = self.image_encoder.embeddings(tokens).flatten(0, 1)
        image_pe = self._position(image)
        slices = auxiliary.detach().transpose(1, 2).flatten(0, 1)
        labels = slices.argmax(dim=1)
        masks: list[Tensor] = []
        for number in range(self.num_classes):
            prompts = Prompts.of(slices, labels, number)
            # A class at a time, and computed twice: for the gradient the image alone is kept, once for all classes.
            masks.append(recomputed(partial(self._mask, image_pe=image_pe, prompts=prompts), image))
        stacked = torch.cat(masks, dim=1)
        if stacked.shape[2:] != slices.shape[2:]:
            stacked = F.interpolate(stacked, size=slices.shape[2:], mode="bilinear", align_corners=False)
        volumes = stacked.unflatten(0, tokens.shape[:2]).transpose(1, 2)
        return self.classes(volumes)

    def _position(self, image: Tensor) -> Tensor:
        """Returns SAM's dense position encoding for images ``[B·D, C, h, w]``, of the same shape."""
        image_pe = self.prompt_encoder.pe_layer(image.shape[2:])[None].to(image.dtype)
        if self.depth_table is not None:
            image_pe = (image_pe + self.depth_table).repeat(len(image) // len(self.depth_table), 1, 1, 1)
        return image_pe.expand_as(image)

    def _mask(self, image: Tensor, *, image_pe: Tensor, prompts: Prompts) -> Tensor:
        """Returns the mask logits of a class, ``[B·D, 1, 4·h, 4·w]``."""
        tokens, dense = self.prompt_encoder(prompts, *image.shape[2:])
        return self.mask_decoder(image, image_pe, tokens.to(image.dtype), dense)
