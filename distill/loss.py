"""The distillation loss."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from ..runtime.errors import UsageError
from ..training.loop.losses import segmentation_loss


class DistillationLoss(torch.nn.Module):
    """λ · (Dice + cross-entropy)(student, truth) + (1 − λ) · MSE(softmax(student), teacher).

    Source: AutoSAM Adapter, section 3.5, Eq. 2, with the squared error averaged over classes and voxels.

    Voxels whose truth is ignored take no part in the first term. They do in the second one, which needs no truth: there
    the student learns what the teacher takes them for.

    Args:
        lam: λ in 0…1. 1 trains on the truth alone, the baseline without a teacher; 0 on the teacher alone.
        ignores: whether targets may have `IGNORED` voxels (training/data/ignore_label.py).

    Raises:
        UsageError: λ lies outside 0…1.
    """

    def __init__(self, lam: float = 0.5, *, ignores: bool = False) -> None:
        super().__init__()
        if not 0 <= lam <= 1:
            raise UsageError(f"lambda lies in 0…1, got {lam:g}")
        self.lam = lam
        self._segmentation = segmentation_loss(ignores=ignores)

    def forward(
        self, student_logits: torch.Tensor, teacher_probs: torch.Tensor | None, target: torch.Tensor
    ) -> torch.Tensor:
        """Returns the scalar loss.

        Args:
            student_logits: ``[B, C, D, H, W]``.
            teacher_probs: the teacher's softmax probabilities ``[B, C, D, H, W]``; None only with λ = 1.
            target: integer labels ``[B, 1, D, H, W]``.

        Raises:
            UsageError: λ < 1 without a teacher.
        """
        if self.lam == 1:
            return self._segmentation(student_logits, target)
        if teacher_probs is None:
            raise UsageError(f"lambda {self.lam:g} needs a teacher; give one, or lambda 1")
        imitation = F.mse_loss(student_logits.softmax(1), teacher_probs)
        if self.lam == 0:
            return imitation
        return self.lam * self._segmentation(student_logits, target) + (1 - self.lam) * imitation
