"""The loss of a student for a batch, with the teachers' probabilities stored in it or computed on its crops."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..runtime.labels.probabilities import LEVELS
from ..training.data.crops import Batch
from .loss import DistillationLoss
from .teachers import Teachers


@dataclass(frozen=True)
class DistillationObjective:
    """An `Objective` that imitates teachers.

    Attributes:
        loss: the loss.
        online: teachers that see each batch's crops; None where batches have stored probabilities, or none.
    """

    loss: DistillationLoss
    online: Teachers | None = None

    def __call__(self, logits: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        """Returns the terms of the loss of logits ``[B, C, D, H, W]``, see `DistillationLoss.terms`."""
        probabilities = None
        if self.online is not None:
            probabilities = self.online.crop_probabilities(batch["image"])
        elif "teacher" in batch:
            probabilities = batch["teacher"] / LEVELS
        return self.loss.terms(logits, probabilities, batch["label"])

    def weight(self, term: str, batch: Batch) -> float:
        """Returns the weight of a term in a batch: that of labels depends on how many of its crops have some."""
        return float(self.loss.weight_of_labels(batch["label"])) if term == "labels" else 1.0
