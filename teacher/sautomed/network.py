"""3D-SAutoMed: SAM slice by slice, from the middle slice to both ends, with box prompts and history of its own.

Source: "3D-SAutoMed: Automatic Segment Anything Model for 3D Medical Image Segmentation from Local-Global Perspective",
section 2 and Fig. 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...runtime.axes import DHW
from ..depth_axes import DEPTH_AXES
from ..recompute import recomputed
from ..sam.boxes import Boxes, PlaceEncoding, class_masks
from ..sam.network import SamTeacher
from ..sam.sizes import find_sam_size
from ..sam.slice_encoder import SliceEncoder
from .box_prompts import BoxPromptGenerator
from .config import SAutoMedConfig
from .lora import LoraBlock
from .semantic_decoder import HistoryFilter, SemanticDecoder
from .slice_sharing import SliceSharing
from .walks import Step, training_walk, whole_walk


@dataclass(frozen=True)
class Past:
    """What slices hand over to the next ones.

    Attributes:
        history: historical information tokens after the filter, ``[B, n, tokens, C]``.
        corners: corners of the organs' boxes, ``[B, n, organs, 4]``.
        present: whether the organs are in the slice, ``[B, n, organs]``.
    """

    history: Tensor
    corners: Tensor
    present: Tensor

    def of(self, places: tuple[int, ...]) -> Past:
        """Returns what the slices at these places of n hand over."""
        index = torch.tensor(places, device=self.history.device)
        return Past(*(each.index_select(1, index) for each in (self.history, self.corners, self.present)))


class SAutoMed(SamTeacher[SAutoMedConfig]):
    """The 3D-SAutoMed network.

    In training, while gradients are wanted, slices follow 1 to 3 others in runs (`training_walk`); otherwise all slices
    of the patch follow one another (`whole_walk`).

    Args:
        config: options of the network; its checkpoint is not read.
        num_classes: output channels, background included.
        patch: voxels, each a multiple of 16.

    Attributes:
        config: the options it was built from.
        patch: voxels of its input.
        image_encoder: SAM's image encoder with LoRA.
        sharing: attention between neighbouring slices, or an identity (``local=False``).
        generator: the box prompt generator, or None (``prompts=False``).
        filter: start and filter of the history tokens, or None (``history=False``).
        mask_decoder: SAM's mask decoder with one mask per class.
    """

    def __init__(self, config: SAutoMedConfig, num_classes: int, patch: DHW) -> None:
        super().__init__(config, patch)
        size = find_sam_size(config.sam)
        width = size.neck_width
        self.axes = DEPTH_AXES[config.depth_axis]
        self.image_encoder = SliceEncoder(
            size,
            enlarge=config.enlarge,
            batch=config.slices,
            checkpoint_activations=config.checkpoint_activations,
            block=LoraBlock,
        )
        self.sharing = SliceSharing(width) if config.local else nn.Identity()
        self.pe_layer = PlaceEncoding(width // 2)
        self.no_mask_embed = nn.Embedding(1, width)
        self.generator = BoxPromptGenerator(num_classes - 1, width) if config.prompts else None
        self.filter = HistoryFilter(width) if config.history else None
        self.mask_decoder = SemanticDecoder(num_classes, width)
        if not config.trains_encoder:
            for name, parameter in self.image_encoder.named_parameters():
                parameter.requires_grad_(config.component(f"image_encoder.{name}") == "LoRA")
        self.log_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits ``[B, classes, D, H, W]`` of patches ``[B, 1, D, H, W]``.

        Raises:
            UsageError: the input is not a batch of patches of the configured size.
        """
        self.check_input(x)
        slices = x.permute(0, 1, *(2 + axis for axis in self.axes))  # [B, 1, d, h, w]
        batch, _, depth, h, w = slices.shape
        maps = self.image_encoder(slices.reshape(batch * depth, 1, h, w))
        maps = self.sharing(maps.reshape(batch, depth, *maps.shape[1:]))
        in_runs = self.training and torch.is_grad_enabled()
        walk = (training_walk if in_runs else whole_walk)(depth, self.config.order)
        logits = self._walked(maps, walk)
        if logits.shape[3:] != (h, w):
            flat = logits.transpose(1, 2).flatten(0, 1)
            flat = F.interpolate(flat, size=(h, w), mode="bilinear", align_corners=False)
            logits = flat.reshape(batch, depth, -1, h, w).transpose(1, 2)
        return logits.permute(0, 1, *(2 + self.axes.index(axis) for axis in range(3)))

    def _walked(self, maps: Tensor, walk: list[Step]) -> Tensor:
        """Returns logits ``[B, classes, D, 4·h, 4·w]`` of maps ``[B, D, C, h, w]``, segmented step by step."""
        image_pe = self.pe_layer(maps.shape[3:])[None].to(maps.dtype)
        by_slice: dict[int, Tensor] = {}
        past: Past | None = None
        for step in walk:
            if past is not None:
                past = past.of(step.previous)
            index = torch.tensor(step.slices, device=maps.device)
            logits, past = self._segmented(maps.index_select(1, index), image_pe, past)
            by_slice.update(zip(step.slices, logits.unbind(1), strict=True))
        return torch.stack([by_slice[number] for number in range(len(by_slice))], dim=2)

    def _segmented(self, maps: Tensor, image_pe: Tensor, past: Past | None) -> tuple[Tensor, Past]:
        """Returns logits ``[B, n, classes, 4·h, 4·w]`` of maps ``[B, n, C, h, w]``, and what the slices hand over."""
        batch, count = maps.shape[:2]

        def decode(image: Tensor) -> tuple[Tensor, Tensor]:
            return self._decoded(image, image_pe, past)

        logits, history = recomputed(decode, maps.flatten(0, 1), enabled=self.config.checkpoint_activations)
        boxes, split = Boxes.around(class_masks(logits, first=1)), (batch, count)
        return logits.unflatten(0, split), Past(
            history.unflatten(0, split), boxes.corners.unflatten(0, split), boxes.present.unflatten(0, split)
        )

    def _decoded(self, image: Tensor, image_pe: Tensor, past: Past | None) -> tuple[Tensor, Tensor]:
        """Returns logits ``[B·n, classes, 4·h, 4·w]`` of maps ``[B·n, C, h, w]``, and history for the next slices."""
        none = image.new_zeros(len(image), 0, image.shape[1])
        history = prompts = none
        if self.filter is not None:
            history = self.filter.first(len(image)) if past is None else past.history.flatten(0, 1)
        if self.generator is not None:
            boxes = None if past is None else Boxes(past.corners.flatten(0, 1), past.present.flatten(0, 1))
            anchors = self.generator.anchors(boxes, len(image), self.pe_layer)
            prompts = self.generator(image, image_pe, anchors)
        dense = image + self.no_mask_embed.weight[:, :, None, None]
        logits, history = self.mask_decoder(dense, image_pe, history, prompts)
        return logits, history if self.filter is None else self.filter(history)
