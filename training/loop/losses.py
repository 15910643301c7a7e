"""The supervised loss of the papers: Dice plus cross-entropy over the voxels whose true label is known."""

from __future__ import annotations

import torch
from monai.losses.dice import DiceCELoss, DiceLoss
from torch.nn import functional as F

from ..data.ignore_label import IGNORED


def segmentation_loss(*, ignores: bool = False) -> torch.nn.Module:
    """Returns Dice + cross-entropy over softmax probabilities, background included (AutoSAM Adapter, Eq. 1).

    The loss is called with logits ``[B, C, D, H, W]`` and integer targets ``[B, 1, D, H, W]``.

    Args:
        ignores: whether targets may contain `IGNORED` voxels, which the loss then leaves out.
    """
    if ignores:
        return KnownVoxelsLoss()
    return DiceCELoss(to_onehot_y=True, softmax=True, include_background=True, batch=True)


class KnownVoxelsLoss(torch.nn.Module):
    """Dice + cross-entropy as in `segmentation_loss`, over the voxels whose target is not `IGNORED`.

    The result is the same as if the ignored voxels were cut out of the batch; a batch of only ignored voxels gives 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self._dice = DiceLoss(include_background=True, batch=True)

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Returns the scalar loss of logits ``[B, C, D, H, W]`` for targets ``[B, 1, D, H, W]``."""
        known = target != IGNORED
        classes = torch.arange(logits.shape[1], device=target.device).reshape(1, -1, 1, 1, 1)
        # No class equals IGNORED, so these voxels have a one-hot target of zeros; their probabilities become zeros too.
        dice = self._dice(logits.softmax(1) * known, (target == classes).to(logits.dtype))
        entropy = F.cross_entropy(logits, target[:, 0].long(), ignore_index=IGNORED, reduction="sum")
        return dice + entropy / known.sum().clamp(min=1)
