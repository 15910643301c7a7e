"""The distillation loss: a weighted sum of what the labels teach and what a teacher teaches."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F

from ..runtime import arguments
from ..runtime.errors import UsageError
from ..training.data.ignore_label import IGNORED
from ..training.loop.losses import Prediction, dice_cross_entropy, soft_dice_cross_entropy

_EVERY = 8  # every eighth voxel along H and W is checked, so that the check does not slow a step down
_ROUNDING = 0.02  # error of a sum of bfloat16 probabilities


def _mse(student: Prediction, teacher: torch.Tensor, balanced: bool) -> torch.Tensor:
    return F.mse_loss(student.probabilities, teacher)


def _dice_ce(student: Prediction, teacher: torch.Tensor, balanced: bool) -> torch.Tensor:
    return soft_dice_cross_entropy(student, teacher, balanced=balanced)


IMITATION: dict[str, Callable[[Prediction, torch.Tensor, bool], torch.Tensor]] = {"mse": _mse, "dice-ce": _dice_ce}
"""Name → loss of a student's prediction, a teacher's probabilities ``[B, C, D, H, W]``, and whether classes are
balanced.

``mse``: squared error of the probabilities, averaged over classes and voxels (AutoSAM Adapter, Eq. 2). ``dice-ce``: the
loss that labels have, Dice plus cross-entropy, with the teacher's probabilities in the place of labels, and the only
one that balances classes. The squared error summed over classes, the same with borders weighted up, and the
Kullback-Leibler divergence were tried on patients: each gained more than ``mse``, and at least 3.6 points of Dice less
than ``dice-ce`` (benchmarks/distillation).
"""


class DistillationLoss(torch.nn.Module):
    """λ · (Dice + cross-entropy)(student, truth) + (1 − λ) · imitation(student, teacher).

    By default the imitation loss is the paper's, MSE(softmax(student), teacher) averaged over classes and voxels.
    Source: AutoSAM Adapter, section 3.5, Eq. 2.

    The first term leaves out voxels with an ignored label. The second term includes them, because it needs no label:
    there the student learns the teacher's probabilities.

    Args:
        lam: λ in 0…1. 1 trains on the labels alone, the baseline without a teacher; 0 on the teacher alone.
        imitation: name in `IMITATION`.
        ignores: whether targets may have `IGNORED` voxels (training/data/ignore_label.py).
        balanced: whether Dice + cross-entropy count classes by `class_weights` (training/loop/losses.py).
        unlabelled: share of a training's crops that have no labels, all their voxels `IGNORED`, 0…<1. The first term
            then counts by a batch's crops with labels over those expected, so that λ means the same however the crops
            of a step are divided into batches: a batch without labels has no first term, one of labels alone a larger.

    Raises:
        UsageError: λ is no number in 0…1, or no imitation loss has this name.
    """

    def __init__(
        self,
        lam: float = 0.5,
        *,
        imitation: str = "mse",
        ignores: bool = False,
        balanced: bool = False,
        unlabelled: float = 0.0,
    ) -> None:
        super().__init__()
        self.lam = arguments.share("lambda", lam)
        self._imitation = IMITATION[arguments.known("imitation loss", imitation, IMITATION)]
        self._ignores = ignores
        self._balanced = balanced
        self._unlabelled = unlabelled

    def forward(
        self, student_logits: torch.Tensor, teacher_probs: torch.Tensor | None, target: torch.Tensor
    ) -> torch.Tensor:
        """Returns the scalar loss, the sum of `terms`.

        Args:
            student_logits: ``[B, C, D, H, W]``.
            teacher_probs: the teacher's softmax probabilities ``[B, C, D, H, W]``; None only with λ = 1.
            target: integer labels ``[B, 1, D, H, W]``.

        Raises:
            UsageError: λ < 1 without a teacher, tensors whose shapes do not match, or teacher values that are not
                probabilities.
        """
        terms = self.terms(student_logits, teacher_probs, target)
        return torch.stack([*terms.values()]).sum() if len(terms) > 1 else next(iter(terms.values()))

    def terms(
        self, student_logits: torch.Tensor, teacher_probs: torch.Tensor | None, target: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Returns the weighted terms of the loss: ``labels`` unless λ is 0, ``teacher`` unless λ is 1.

        Arguments and errors are those of `forward`.
        """
        _check_target(student_logits, target)
        terms: dict[str, torch.Tensor] = {}
        if self.lam < 1:
            if teacher_probs is None:
                raise UsageError(f"lambda {self.lam:g} needs a teacher; give one, or lambda 1")
            _check_probabilities(student_logits, teacher_probs)
        student = Prediction.of(student_logits)
        if self.lam > 0:
            labelled = dice_cross_entropy(student, target, ignores=self._ignores, balanced=self._balanced)
            terms["labels"] = self.lam * self.weight_of_labels(target) * labelled
        if self.lam < 1 and teacher_probs is not None:
            imitated = self._imitation(student, teacher_probs, self._balanced)
            terms["teacher"] = (1 - self.lam) * imitated
        return terms

    def weight_of_labels(self, target: torch.Tensor) -> torch.Tensor | float:
        """Returns the share of a batch's crops with labels, over that of the training.

        Args:
            target: integer labels ``[B, 1, D, H, W]``.
        """
        if not self._unlabelled:
            return 1.0
        return (target != IGNORED).flatten(1).any(1).float().mean() / (1 - self._unlabelled)


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
