"""Boxes around masks, and SAM's encoding of places."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from segment_anything.modeling.prompt_encoder import PositionEmbeddingRandom
from torch import Tensor


@dataclass(frozen=True)
class Boxes:
    """Boxes around masks in a batch of slices.

    Attributes:
        corners: left, top, right, bottom as shares 0…1 of width and height, float32 ``[N, masks, 4]``; of empty masks
            0.
        present: whether the mask has a pixel, ``[N, masks]``.
    """

    corners: Tensor
    present: Tensor

    @classmethod
    def around(cls, masks: Tensor) -> Boxes:
        """Returns the boxes around masks ``[N, masks, h, w]`` of truth values."""
        h, w = masks.shape[2:]
        top, bottom = _ends(masks.any(dim=3))
        left, right = _ends(masks.any(dim=2))
        present = masks.flatten(2).any(dim=2)
        corners = torch.stack([left / w, top / h, right / w, bottom / h], dim=-1)
        return cls(corners * present[..., None], present)


def class_masks(logits: Tensor, first: int = 0) -> Tensor:
    """Returns where each class is the most likely, truth values ``[N, classes - first, h, w]``; carries no gradient.

    Args:
        logits: ``[N, classes, h, w]``.
        first: number of the first class to return; 1 leaves the background out.
    """
    classes = torch.arange(first, logits.shape[1], device=logits.device)
    return logits.detach().argmax(dim=1)[:, None] == classes[None, :, None, None]


def _ends(found: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the first place that is True and the place after the last one, of ``[..., length]``."""
    length = found.shape[-1]
    places = torch.arange(length, device=found.device)
    first = torch.where(found, places, length).amin(dim=-1)
    last = torch.where(found, places + 1, 0).amax(dim=-1)
    return first, last


class PlaceEncoding(PositionEmbeddingRandom):
    """SAM's random Fourier features of places, as exact as its parameters also under autocast.

    bfloat16 tells 256 places apart, and the features turn by many times 2π along a slice.
    """

    positional_encoding_gaussian_matrix: Tensor

    def _pe_encoding(self, coords: Tensor) -> Tensor:
        with torch.autocast(coords.device.type, enabled=False):
            return super()._pe_encoding(coords.to(self.positional_encoding_gaussian_matrix.dtype))
