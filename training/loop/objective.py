"""The loss of a network's output, and deep supervision: networks that in training return auxiliary logits too."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.crops import Batch


class Objective(Protocol):
    """Computes the loss of a network's logits for a batch."""

    def __call__(self, logits: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Returns the terms of the loss by name, scalars whose sum is the loss.

        It is called in the training's precision: a network that it runs computes as fast as the one in training.

        Args:
            logits: ``[B, C, D, H, W]``, float32.
            batch: items of `CropDataset`, stacked.
        """
        ...


@runtime_checkable
class WeighsTerms(Protocol):
    """An objective that gives a term of the loss another weight from batch to batch."""

    def weight(self, term: str, batch: Batch) -> float:
        """Returns the weight that a term has in a batch, in units of its mean over the batches of an epoch."""
        ...


class DeepLogits(NamedTuple):
    """What a network with deep supervision returns in training; a tuple, which wrappers of networks look into.

    Attributes:
        logits: ``[B, C, D, H, W]``; None while only the auxiliary ones train.
        auxiliary: logits ``[B, C, d, h, w]``, finest first; the finest may have fewer voxels than the labels.
    """

    logits: Tensor | None
    auxiliary: tuple[Tensor, ...]

    def float(self) -> DeepLogits:
        """Returns the logits as float32."""
        logits = None if self.logits is None else self.logits.float()
        return DeepLogits(logits, tuple(each.float() for each in self.auxiliary))


class DeeplySupervised(nn.Module):
    """A network that returns `DeepLogits` in training while gradients are wanted, and otherwise logits alone.

    Attributes:
        auxiliary_alone: whether only the auxiliary logits are wanted in training, as in the first epochs of a
            `Recipe` with ``auxiliary_alone``; the training sets it.
    """

    auxiliary_alone: bool = False


def all_logits(output: Tensor | DeepLogits) -> list[Tensor]:
    """Returns all logits that a network returned."""
    if isinstance(output, Tensor):
        return [output]
    return [*([] if output.logits is None else [output.logits]), *output.auxiliary]


def supervised_terms(objective: Objective, output: Tensor | DeepLogits, batch: Batch) -> dict[str, Tensor]:
    """Returns the terms of the loss of a network's output by name; those of its auxiliary logits are one term.

    Auxiliary logits of level i, finest first, count 1 / 2^i, and all of them together 1. Each is compared with the
    label of the voxel in the middle of its own.

    Args:
        objective: the loss of logits; of a batch with auxiliary logits it reads ``label`` alone.
        output: what the network returned.
        batch: items of `CropDataset`, stacked.
    """
    if isinstance(output, Tensor):
        return objective(output, batch)
    terms = {} if output.logits is None else objective(output.logits, batch)
    weights = [0.5**level for level in range(len(output.auxiliary))]
    levels = [
        weight / sum(weights) * total(objective(logits, {"label": _resized(batch["label"], logits)}))
        for weight, logits in zip(weights, output.auxiliary, strict=True)
    ]
    return {**terms, "auxiliary": torch.stack(levels).sum()}


def total(terms: dict[str, Tensor]) -> Tensor:
    """Returns the loss, the sum of its terms."""
    return torch.stack([*terms.values()]).sum()


def _resized(labels: Tensor, logits: Tensor) -> Tensor:
    if labels.shape[2:] == logits.shape[2:]:
        return labels
    return F.interpolate(labels.float(), size=logits.shape[2:], mode="nearest-exact")
