import math

import pytest
import torch
from bedside.distill import DistillationLoss
from bedside.runtime.errors import UsageError
from bedside.training.data.ignore_label import IGNORED

# Two classes, two voxels; the student says 50:50 everywhere, the teacher is sure, the truth is class 0, then 1.
LOGITS = torch.zeros(1, 2, 1, 1, 2)
TEACHER = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).reshape(1, 2, 1, 1, 2)
TRUTH = torch.tensor([0, 1]).reshape(1, 1, 1, 1, 2)
CROSS_ENTROPY = math.log(2)
DICE = 1 - 2 * 0.5 / 2  # per class: overlap 0.5, masses 1 and 1
SQUARED = 0.25  # (0.5 − 1)² and (0.5 − 0)²


@pytest.mark.parametrize("lam", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_loss_is_the_papers_equation_2(lam):
    expected = lam * (DICE + CROSS_ENTROPY) + (1 - lam) * SQUARED
    assert DistillationLoss(lam)(LOGITS, TEACHER, TRUTH) == pytest.approx(expected, abs=1e-4)


def test_a_student_that_equals_its_teacher_has_no_imitation_loss():
    logits = torch.randn(1, 3, 2, 2, 2)
    target = torch.zeros(1, 1, 2, 2, 2, dtype=torch.long)
    assert DistillationLoss(0.0)(logits, logits.softmax(1), target) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("balanced", [False, True])
def test_dice_ce_teaches_probabilities_as_labels_are_taught(balanced):
    """A teacher that is sure of the truth gives the term that the truth gives, whatever the balance."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 3, 4, 4, 4, generator=generator)
    labels = (torch.rand(1, 1, 4, 4, 4, generator=generator) > 0.9).long()
    sure = torch.nn.functional.one_hot(labels[:, 0], 3).movedim(-1, 1).float()
    terms = DistillationLoss(0.5, imitation="dice-ce", balanced=balanced).terms(logits, sure, labels)
    assert terms["teacher"].item() == pytest.approx(terms["labels"].item(), rel=1e-5)
    other = DistillationLoss(0.5, imitation="dice-ce", balanced=not balanced).terms(logits, sure, labels)
    assert other["labels"].item() != pytest.approx(terms["labels"].item(), rel=1e-3)


@pytest.mark.parametrize("balanced", [False, True])
def test_lambda_means_the_same_however_crops_without_labels_are_divided_into_batches(balanced):
    generator = torch.Generator().manual_seed(0)
    logits, teacher = (torch.randn(2, 3, 4, 4, 4, generator=generator) for _ in range(2))
    target = torch.randint(3, (2, 1, 4, 4, 4), generator=generator)
    target[1] = IGNORED
    loss = DistillationLoss(0.5, ignores=True, balanced=balanced, unlabelled=0.5)
    together = loss.terms(logits, teacher.softmax(1), target)
    apart = [loss.terms(logits[n : n + 1], teacher[n : n + 1].softmax(1), target[n : n + 1]) for n in range(2)]
    for name, term in together.items():
        assert sum(each[name].item() for each in apart) / 2 == pytest.approx(term.item(), rel=1e-5)
    assert apart[1]["labels"] == 0


def test_lambda_one_needs_no_teacher_and_less_needs_one():
    assert DistillationLoss(1.0)(LOGITS, None, TRUTH) == pytest.approx(DICE + CROSS_ENTROPY, abs=1e-4)
    with pytest.raises(UsageError, match=r"lambda 0.5 needs a teacher"):
        DistillationLoss(0.5)(LOGITS, None, TRUTH)


@pytest.mark.parametrize("lam", [-0.1, 1.1, math.nan])
def test_lambda_outside_zero_to_one_is_refused(lam):
    with pytest.raises(UsageError, match=r"0…1"):
        DistillationLoss(lam)
