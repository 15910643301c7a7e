"""The supervised loss of the papers: Dice plus cross-entropy over the voxels whose true label is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..data.ignore_label import IGNORED

_SMOOTHING = 1e-5  # as in MONAI; a class that neither target nor prediction contains then has a Dice of 1
_RARE = 0.002  # share of voxels below which a class does not gain more weight: an organ of a few voxels is mostly edge


@dataclass(frozen=True)
class Prediction:
    """A network's class probabilities for a batch, computed once for all terms of a loss.

    Attributes:
        probabilities: ``[B, C, D, H, W]``.
        logarithms: natural logarithms of the probabilities, finite also where a probability is rounded to 0.
    """

    probabilities: torch.Tensor
    logarithms: torch.Tensor

    @classmethod
    def of(cls, logits: torch.Tensor) -> Prediction:
        """Returns the softmax of logits ``[B, C, D, H, W]``."""
        logarithms = logits.log_softmax(1)
        return cls(logarithms.exp(), logarithms)


def segmentation_loss(
    *, ignores: bool = False, balanced: bool = False
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Returns `dice_cross_entropy` as a function of logits ``[B, C, D, H, W]`` and labels ``[B, 1, D, H, W]``.

    Args:
        ignores: whether labels may be `IGNORED`.
        balanced: whether classes count by `class_weights`.
    """
    return lambda logits, labels: dice_cross_entropy(Prediction.of(logits), labels, ignores=ignores, balanced=balanced)


def dice_cross_entropy(
    prediction: Prediction, labels: torch.Tensor, *, ignores: bool = False, balanced: bool = False
) -> torch.Tensor:
    """Returns Dice + cross-entropy, background included, a scalar (AutoSAM Adapter, Eq. 1).

    The value is that of MONAI's ``DiceCELoss(to_onehot_y=True, softmax=True, batch=True)``, which computes softmax and
    its logarithm separately and multiplies by one-hot labels; here the probability of each voxel's true class is looked
    up, so that most operations have one channel instead of C.

    Args:
        prediction: probabilities ``[B, C, D, H, W]``.
        labels: true classes ``[B, 1, D, H, W]``.
        ignores: whether labels may be `IGNORED`. The result is the same as if these voxels were cut out of the batch; a
            batch of only ignored voxels gives 0.
        balanced: whether voxels count by `class_weights` in the cross-entropy, and the background not in Dice. A small
            organ's voxels are one in a thousand, and the plain loss learns to see it only after hundreds of steps.

    Raises:
        ValueError: prediction and labels have different shapes.
    """
    probabilities = prediction.probabilities
    batch, classes, *size = probabilities.shape
    if list(labels.shape) != [batch, 1, *size]:
        raise ValueError(f"expected labels {[batch, 1, *size]}, got {list(labels.shape)}")
    labels = labels.long()
    known = torch.ones_like(labels, dtype=probabilities.dtype)
    if ignores:
        known = (labels != IGNORED).to(probabilities.dtype)
        labels = labels * (labels != IGNORED)
        probabilities = probabilities * known
    true_class = prediction.logarithms.gather(1, labels)
    voxels = _sums_by_class(known, labels, classes)
    overlap = _sums_by_class(true_class.exp() * known, labels, classes)
    dice = _dice_loss(overlap, probabilities.sum((0, 2, 3, 4)) + voxels, balanced=balanced)
    if balanced:
        known = known * class_weights(voxels)[labels]
    return dice - (true_class * known).sum() / known.sum().clamp(min=1)


def soft_dice_cross_entropy(prediction: Prediction, target: torch.Tensor, *, balanced: bool = False) -> torch.Tensor:
    """Returns Dice + cross-entropy between a prediction and probabilities, a scalar.

    Where every target is 0 or 1, this is `dice_cross_entropy` of those labels. Elsewhere
    `|prediction − target|` measures the overlap of Dice, so that the prediction which equals its target is the best
    (Wang et al., "Dice Semimetric Losses", MICCAI 2023, arXiv:2303.16296); the product of both would reward certainty.

    Args:
        prediction: probabilities ``[B, C, D, H, W]``.
        target: the probabilities to learn, of the same shape.
        balanced: as in `dice_cross_entropy`.
    """
    voxels = target.sum((0, 2, 3, 4))
    total = prediction.probabilities.sum((0, 2, 3, 4)) + voxels
    overlap = (total - (prediction.probabilities - target).abs().sum((0, 2, 3, 4))) / 2
    dice = _dice_loss(overlap, total, balanced=balanced)
    weights = class_weights(voxels) if balanced else torch.ones_like(voxels)
    entropy = (prediction.logarithms * target).sum((0, 2, 3, 4))
    return dice - (weights * entropy).sum() / (weights * voxels).sum()


def class_weights(voxels: torch.Tensor) -> torch.Tensor:
    """Returns each class's weight, one over the root of its share of the voxels.

    Args:
        voxels: number of voxels of each class, ``[C]``.
    """
    return (voxels / voxels.sum().clamp(min=1) + _RARE).rsqrt()


def _dice_loss(overlap: torch.Tensor, total: torch.Tensor, *, balanced: bool) -> torch.Tensor:
    """Returns 1 − Dice, averaged over the classes, or over all but the background if balanced."""
    dice = 1 - (2 * overlap + _SMOOTHING) / (total + _SMOOTHING)
    return (dice[1:] if balanced else dice).mean()


def _sums_by_class(values: torch.Tensor, labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Returns the sum of values ``[B, 1, D, H, W]`` over the voxels of each label, ``[classes]``."""
    width = labels.shape[-1]
    # Each row of voxels is summed by itself: one float32 sum over all voxels would lose the last of them.
    rows = values.new_zeros(labels.numel() // width, classes)
    return rows.scatter_add(1, labels.reshape(-1, width), values.reshape(-1, width)).sum(0)
