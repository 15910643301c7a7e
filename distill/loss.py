"""The distillation loss."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from ..runtime import arguments
from ..runtime.errors import UsageError
from ..training.loop.losses import segmentation_loss

_EVERY = 8  # every eighth voxel along H and W is checked, so that the check does not slow a step down
_ROUNDING = 0.02  # error of a sum of bfloat16 probabilities


class DistillationLoss(torch.nn.Module):
    """λ · (Dice + cross-entropy)(student, truth) + (1 − λ) · MSE(softmax(student), teacher).

    Source: AutoSAM Adapter, section 3.5, Eq. 2, with the squared error averaged over classes and voxels.

    The first term leaves out voxels with an ignored label. The second term includes them, because it needs no label:
    there the student learns the teacher's probabilities.

    Args:
        lam: λ in 0…1. 1 trains on the labels alone, the baseline without a teacher; 0 on the teacher alone.
        ignores: whether targets may have `IGNORED` voxels (training/data/ignore_label.py).

    Raises:
        UsageError: λ is no number in 0…1.
    """

    def __init__(self, lam: float = 0.5, *, ignores: bool = False) -> None:
        super().__init__()
        self.lam = arguments.share("lambda", lam)
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
            UsageError: λ < 1 without a teacher, tensors whose shapes do not match, or teacher values that are not
                probabilities.
        """
        _check_target(student_logits, target)
        if self.lam == 1:
            return self._segmentation(student_logits, target)
        if teacher_probs is None:
            raise UsageError(f"lambda {self.lam:g} needs a teacher; give one, or lambda 1")
        _check_probabilities(student_logits, teacher_probs)
        imitation = F.mse_loss(student_logits.softmax(1), teacher_probs)
        if self.lam == 0:
            return imitation
        return self.lam * self._segmentation(student_logits, target) + (1 - self.lam) * imitation


def _check_target(logits: torch.Tensor, target: torch.Tensor) -> None:
    shape = _shape("student_logits", logits)
    if len(shape) != 5:
        raise UsageError(f"student_logits: expected [B, C, D, H, W], got {shape}")
    expected = [shape[0], 1, *shape[2:]]
    if _shape("target", target) != expected:
        raise UsageError(
            f"target: expected {expected} [B, 1, D, H, W] as the logits are {shape}, got {_shape('', target)}"
        )


def _check_probabilities(logits: torch.Tensor, teacher: torch.Tensor) -> None:
    if _shape("teacher_probs", teacher) != _shape("student_logits", logits):
        raise UsageError(
            f"teacher_probs: expected the logits' shape {list(logits.shape)}, got {list(teacher.shape)}; "
            "teacher and student need the same classes and window"
        )
    few = teacher.detach()[..., ::_EVERY, ::_EVERY].float()  # logits passed by mistake fail this test in any voxel
    sums = few.sum(1)
    if not bool(((few >= -_ROUNDING) & (sums.unsqueeze(1) - 1).abs().le(_ROUNDING)).all()):
        raise UsageError(
            "teacher_probs: expected probabilities that sum to 1 over the classes, "
            f"got {float(few.min()):g}…{float(few.max()):g} with sums {float(sums.min()):g}…{float(sums.max()):g}; "
            "take the softmax of the teacher's logits"
        )


def _shape(name: str, tensor: torch.Tensor) -> list[int]:
    return list(arguments.instance(name, tensor, torch.Tensor).shape)
