"""Prompts of a class in every slice from auxiliary logits: a box, the point farthest from the boundary, and a mask.

Source: Self-Prompt-SAM, sections 3.1 ("The prompt way") and 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..sam.boxes import Boxes


@dataclass(frozen=True)
class Prompts:
    """The prompts of one class in N slices; they carry no gradient.

    Attributes:
        present: whether the class is in the slice, ``[N]``; elsewhere the other prompts have no meaning.
        points: x and y of the point, as shares 0…1 of width and height, float32 ``[N, 2]``.
        corners: left, top, right, bottom of the box as such shares, float32 ``[N, 4]``.
        masks: log-odds of the class, ``[N, 1, H, W]``.
    """

    present: Tensor
    points: Tensor
    corners: Tensor
    masks: Tensor

    @classmethod
    def of(cls, logits: Tensor, labels: Tensor, number: int) -> Prompts:
        """Returns the prompts of a class.

        Args:
            logits: auxiliary logits ``[N, classes, H, W]``.
            labels: the most likely class of each pixel, ``[N, H, W]``.
            number: number of the class.
        """
        logits, mask = logits.detach(), labels == number
        boxes = Boxes.around(mask[:, None])
        return cls(boxes.present[:, 0], farthest_points(mask), boxes.corners[:, 0], log_odds(logits, number))


def log_odds(logits: Tensor, number: int) -> Tensor:
    """Returns log p − log(1 − p), ``[N, 1, H, W]``, for the softmax p of a class: its logit for a sigmoid.

    Args:
        logits: ``[N, classes, H, W]``.
        number: number of the class.
    """
    others = torch.cat([logits[:, :number], logits[:, number + 1 :]], dim=1)
    return logits[:, number : number + 1] - others.logsumexp(dim=1, keepdim=True)


def farthest_points(masks: Tensor) -> Tensor:
    """Returns the middle of the pixel farthest from each mask's boundary, as shares 0…1, float32 ``[N, 2]``.

    Of several such pixels it is the first one, row by row.

    Args:
        masks: truth values ``[N, H, W]``.
    """
    h, w = masks.shape[1:]
    index = squared_distances(masks).flatten(1).argmax(dim=1)
    x, y = index % w, index.div(w, rounding_mode="floor")
    return torch.stack([(x + 0.5) / w, (y + 0.5) / h], dim=-1)


def squared_distances(masks: Tensor) -> Tensor:
    """Returns each pixel's squared Euclidean distance to the nearest pixel outside its mask, int32 ``[N, H, W]``.

    What lies beyond the slice is outside, so that an organ that the slice cuts has its edge as boundary. The distances
    are exact: those along the rows are combined along the columns.

    Args:
        masks: truth values ``[N, H, W]``.
    """
    h = masks.shape[1]
    rows = F.pad(_squared_distances_in_rows(masks), (0, 0, 1, 1))  # the rows beyond the slice are outside
    best = rows.clone()
    for step in range(1, (h + 1) // 2 + 1):  # no pixel is farther from the first or the last row
        best[:, step:] = torch.minimum(best[:, step:], rows[:, :-step] + step**2)
        best[:, :-step] = torch.minimum(best[:, :-step], rows[:, step:] + step**2)
    return best[:, 1:-1]


def _squared_distances_in_rows(masks: Tensor) -> Tensor:
    w = masks.shape[2]
    columns = torch.arange(w, dtype=torch.int32, device=masks.device).expand(masks.shape)
    before = torch.where(masks, -1, columns).cummax(dim=2).values
    after = torch.where(masks, w, columns).flip(2).cummin(dim=2).values.flip(2)
    return torch.minimum(columns - before, after - columns).square()
