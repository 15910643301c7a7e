"""The supervised loss of the papers: Dice plus cross-entropy."""

from __future__ import annotations

from monai.losses.dice import DiceCELoss


def segmentation_loss() -> DiceCELoss:
    """Returns Dice + cross-entropy over softmax probabilities, background included (AutoSAM Adapter, Eq. 1).

    Called with logits ``[B, C, D, H, W]`` and integer targets ``[B, 1, D, H, W]``.
    """
    return DiceCELoss(to_onehot_y=True, softmax=True, include_background=True, batch=True)
