"""The weight that the terms of a student's loss have in a batch; test_loss.py: the terms themselves."""

import pytest
import torch
from bedside.distill.loss import DistillationLoss
from bedside.distill.objective import DistillationObjective
from bedside.training.data.ignore_label import IGNORED
from bedside.training.loop.objective import WeighsTerms


def batch(*labelled):
    """Returns the labels of crops of 8 voxels each, with labels or without."""
    crops = [torch.full((1, 2, 2, 2), 1 if each else IGNORED) for each in labelled]
    return {"label": torch.stack(crops)}


@pytest.mark.parametrize(
    ("share", "labelled", "weight"),
    [(0.5, [True], 2), (0.9, [True, False], 5), (0.5, [True, False], 1), (0.5, [False], 0), (0.0, [True], 1)],
)
def test_labels_weigh_by_the_crops_that_have_some_over_those_expected(share, labelled, weight):
    objective = DistillationObjective(DistillationLoss(0.5, unlabelled=share))
    assert isinstance(objective, WeighsTerms)
    assert objective.weight("labels", batch(*labelled)) == pytest.approx(weight)
    assert objective.weight("teacher", batch(*labelled)) == 1
