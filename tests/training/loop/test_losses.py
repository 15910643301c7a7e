import pytest
import torch
from bedside.distill import DistillationLoss
from bedside.training.data.ignore_label import IGNORED
from bedside.training.loop.losses import segmentation_loss
from monai.losses.dice import DiceCELoss

SHAPE = (2, 3, 4, 4, 4)


@pytest.fixture
def logits():
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(0), requires_grad=True)


@pytest.fixture
def target():
    """Labels 0…2 and, in the lower half, voxels that are ignored."""
    labels = torch.randint(0, 3, (2, 1, 4, 4, 4), generator=torch.Generator().manual_seed(1))
    labels[:, :, :2] = IGNORED
    return labels


def test_where_nothing_is_ignored_the_loss_is_monais_own(logits, target):
    target = target.where(target != IGNORED, 0)
    plain = segmentation_loss()
    assert type(plain) is DiceCELoss
    assert segmentation_loss(ignores=True)(logits, target).item() == pytest.approx(plain(logits, target).item(), 1e-6)


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
