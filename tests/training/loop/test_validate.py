import numpy as np
import pytest
import torch
from bedside.runtime.errors import Cancelled
from bedside.training.data.ignore_label import IGNORED
from bedside.training.loop.hardware import make_fabric
from bedside.training.loop.process_group import ProcessGroup
from bedside.training.loop.validate import predict_probabilities, validate

from .tiny_fit import relabelled


@pytest.fixture
def group():
    return ProcessGroup(make_fabric("cpu", "32-true"))


def bright(patches):
    """Calls what is brighter than grey a cube: in the task's units 40 HU is 0.48, 200 HU is 0.8."""
    return torch.cat([torch.zeros_like(patches), 20 * (patches - 0.6)], 1)


def test_ignored_voxels_of_a_validation_case_take_no_part_in_its_score(tmp_path, prepared, small_task):
    """A network that calls everything cube is right wherever the truth is known to be cube."""
    labels = np.asarray(prepared[0].labels()).astype(np.uint16)
    labels[labels == 0] = IGNORED
    case = relabelled(prepared[0], tmp_path / "case", labels, ignored=int((labels == IGNORED).sum()))
    dice = validate(
        lambda patches: torch.cat([torch.zeros_like(patches), torch.ones_like(patches)], 1),
        [case],
        small_task,
        ProcessGroup(make_fabric("cpu", "32-true")),
        overlap=0.25,
    )
    assert np.isnan(dice[0])
    assert dice[1] == 1


def test_each_class_has_its_mean_over_the_cases_and_steps_are_reported(prepared, small_task, group):
    seen, shown = [], []
    dice = validate(
        bright,
        prepared,
        small_task,
        group,
        overlap=0.25,
        progress=lambda *step: seen.append(step),
        shown=lambda case, labels: shown.append((case.name, labels.shape)),
    )
    assert dice == pytest.approx([1, 1])
    assert seen == [(1, 2), (2, 2)]
    assert shown == [("case0", prepared[0].image().shape)]


def test_the_highest_logit_counts_also_where_the_probabilities_are_rounded_to_be_equal(prepared, small_task, group):
    assert torch.tensor([0.0, 1e-9]).softmax(0).tolist() == [0.5, 0.5]
    dice = validate(lambda patches: 1e-9 * bright(patches), prepared, small_task, group, overlap=0.25)
    assert dice == pytest.approx([1, 1])


def test_a_class_that_no_case_has_gets_no_score(prepared, small_task, group, tmp_path):
    case = relabelled(prepared[0], tmp_path / "case", np.zeros_like(prepared[0].labels()))
    dice = validate(lambda patches: -bright(-patches), [case], small_task, group, overlap=0.25)
    assert np.isnan(dice[1])


def test_a_stop_ends_the_case_and_is_raised_where_all_agree(prepared, small_task, group):
    def stopped(*_):
        raise Cancelled

    with pytest.raises(Cancelled):
        validate(stopped, prepared, small_task, group, overlap=0.25, agree=stopped)


def test_probabilities_add_up_to_one_in_every_voxel(prepared, small_task, group):
    found = predict_probabilities(bright, prepared[0], small_task, overlap=0.25, device=group.device)
    assert found.shape == (2, *prepared[0].image().shape)
    torch.testing.assert_close(found.sum(0), torch.ones(found.shape[1:]))
