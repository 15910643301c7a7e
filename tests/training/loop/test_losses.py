import math

import pytest
import torch
from bedside.distill import DistillationLoss
from bedside.training.data.ignore_label import IGNORED
from bedside.training.loop.losses import Prediction, segmentation_loss, soft_dice_cross_entropy
from monai.losses.dice import DiceCELoss

SHAPE = (2, 3, 4, 4, 4)
MONAIS = DiceCELoss(to_onehot_y=True, softmax=True, include_background=True, batch=True)


@pytest.fixture
def logits():
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(0), requires_grad=True)


@pytest.fixture
def target():
    """Labels 0…2 and, in the lower half, voxels that are ignored."""
    labels = torch.randint(0, 3, (2, 1, 4, 4, 4), generator=torch.Generator().manual_seed(1))
    labels[:, :, :2] = IGNORED
    return labels


@pytest.mark.parametrize("ignores", [False, True])
def test_where_nothing_is_ignored_loss_and_gradient_are_monais(logits, target, ignores):
    target = target.where(target != IGNORED, 0)
    (expected,) = torch.autograd.grad(monais := MONAIS(logits, target), logits)
    (gradient,) = torch.autograd.grad(loss := segmentation_loss(ignores=ignores)(logits, target), logits)
    assert loss.item() == pytest.approx(monais.item(), rel=1e-6)
    assert torch.allclose(gradient, expected, atol=1e-7)


def test_a_class_that_no_voxel_has_counts_as_in_monais_loss(logits):
    target = torch.zeros(2, 1, 4, 4, 4, dtype=torch.long)
    assert segmentation_loss()(logits, target).item() == pytest.approx(MONAIS(logits, target).item(), rel=1e-6)


def test_a_logit_of_a_thousand_keeps_the_loss_and_its_gradient_finite(target):
    """Softmax rounds to 0 there, whose logarithm is infinite; the cross-entropy of the voxel is 1000."""
    logits = torch.zeros(1, 2, 1, 1, 1).index_fill(1, torch.tensor([0]), 1000.0).requires_grad_()
    loss = segmentation_loss()(logits, torch.ones(1, 1, 1, 1, 1))
    loss.backward()
    assert loss.item() == pytest.approx(1001, rel=1e-4)
    assert logits.grad.flatten().tolist() == pytest.approx([1, -1], abs=1e-4)


def test_sums_over_millions_of_voxels_lose_none():
    """One float32 sum of 0.9 over 2²² voxels is off by a hundredth; 1 is certain everywhere, so Dice is known."""
    logits = torch.tensor([0.0, math.log(9)]).reshape(1, 2, 1, 1, 1).expand(1, 2, 64, 256, 256)
    overlap, voxels = 0.9, 1.0  # of class 1, in units of all voxels; class 0 has no voxel: its Dice is 0
    expected = 1 - (2 * overlap / (overlap + voxels)) / 2 - math.log(0.9)
    assert segmentation_loss()(logits, torch.ones(1, 1, 64, 256, 256)).item() == pytest.approx(expected, rel=1e-5)


def test_labels_of_another_shape_are_refused(logits, target):
    with pytest.raises(ValueError, match=r"expected labels \[2, 1, 4, 4, 4\], got \[1, 1, 4, 4, 4\]"):
        segmentation_loss()(logits, target[:1])


def test_ignored_voxels_count_as_little_as_if_they_were_cut_out(logits, target):
    cut = segmentation_loss()(logits[:, :, 2:], target[:, :, 2:])
    assert segmentation_loss(ignores=True)(logits, target).item() == pytest.approx(cut.item(), rel=1e-6)


def test_no_gradient_comes_from_ignored_voxels_and_the_others_have_theirs(logits, target):
    segmentation_loss(ignores=True)(logits, target).backward()
    assert not logits.grad[:, :, :2].any()
    masked = logits.grad[:, :, 2:].clone()
    logits.grad = None
    segmentation_loss()(logits[:, :, 2:], target[:, :, 2:]).backward()
    assert torch.allclose(masked, logits.grad[:, :, 2:], atol=1e-7)


def test_a_batch_of_nothing_but_ignored_voxels_teaches_nothing(logits, target):
    loss = segmentation_loss(ignores=True)(logits, torch.full_like(target, IGNORED))
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert not logits.grad.any()


def test_imitation_counts_ignored_voxels_for_it_needs_no_truth(logits, target):
    teacher = torch.zeros(SHAPE)
    teacher[:, 0] = 1
    imitation = torch.nn.functional.mse_loss(logits.softmax(1), teacher)
    known = segmentation_loss(ignores=True)(logits, target)
    loss = DistillationLoss(0.25, ignores=True)(logits, teacher, target)
    assert loss.item() == pytest.approx((0.25 * known + 0.75 * imitation).item(), rel=1e-6)


def test_the_balanced_loss_weights_classes_and_leaves_the_background_out_of_dice():
    """Four voxels, one of the organ: shares 3/4 and 1/4, so that its weight is √3 times the background's."""
    organ = torch.tensor([0.1, 0.2, 0.4, 0.8])
    logits = torch.stack([(1 - organ).log(), organ.log()]).reshape(1, 2, 1, 1, 4)
    labels = torch.tensor([0, 0, 0, 1]).reshape(1, 1, 1, 1, 4)
    dice = 1 - 2 * 0.8 / (1.5 + 1)
    background, rare = (0.75 + 0.002) ** -0.5, (0.25 + 0.002) ** -0.5
    entropy = -(background * math.log(0.9 * 0.8 * 0.6) + rare * math.log(0.8)) / (3 * background + rare)
    assert segmentation_loss(balanced=True)(logits, labels).item() == pytest.approx(dice + entropy, rel=1e-4)


@pytest.mark.parametrize("balanced", [False, True])
def test_certain_probabilities_teach_as_labels_do(logits, balanced):
    labels = torch.randint(0, 3, (2, 1, 4, 4, 4), generator=torch.Generator().manual_seed(1))
    certain = torch.nn.functional.one_hot(labels[:, 0], 3).movedim(-1, 1).float()
    soft = soft_dice_cross_entropy(Prediction.of(logits), certain, balanced=balanced)
    assert soft.item() == pytest.approx(segmentation_loss(balanced=balanced)(logits, labels).item(), rel=1e-5)


def test_soft_labels_teach_best_a_student_that_equals_its_teacher(logits):
    target = Prediction.of(logits.detach()).probabilities
    best = soft_dice_cross_entropy(Prediction.of(logits.detach()), target).item()
    entropy = -(target * target.log()).sum(1).mean().item()
    assert best == pytest.approx(entropy, rel=1e-5)  # Dice is 1
    for scale in (0.9, 1.1, 2.0):
        assert soft_dice_cross_entropy(Prediction.of(logits.detach() * scale), target).item() > best


def test_ignored_voxels_do_not_count_in_the_balanced_loss(logits, target):
    known = segmentation_loss(ignores=True, balanced=True)(logits, target)
    cut = segmentation_loss(balanced=True)(logits[:, :, 2:], target[:, :, 2:])
    assert known.item() == pytest.approx(cut.item(), rel=1e-5)
