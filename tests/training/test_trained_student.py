"""What a student to export may be made of."""

import pytest
import torch
from bedside.runtime.errors import UsageError
from bedside.runtime.task_presets import PRESETS
from bedside.training.trained_student import TrainedStudent


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "btcv"}, 'task: expected a Task, got "btcv"'),
        ({"student": ""}, 'student: expected a text, got ""'),
        ({"lam": 2}, "lam: expected a number in 0…1, got 2"),
        ({"teacher": 3}, "teacher: expected a text, got 3"),
        ({"learned_from": {}}, "learned_from: expected a LearnedFrom"),
        ({"metrics": 3}, "metrics: expected a Mapping, got 3"),
        ({"postprocessing": "largest"}, 'postprocessing: expected a Postprocessing, got "largest"'),
        ({"licence": ""}, 'licence: expected a text, got ""'),
    ],
)
def test_a_student_refuses_what_it_does_not_accept(options, message):
    with pytest.raises(UsageError, match=message):
        TrainedStudent(**{"model": torch.nn.Identity(), "task": PRESETS["btcv"], "student": "toy", **options})


def test_of_a_network_at_hand_nothing_is_recorded():
    student = TrainedStudent(model=torch.nn.Identity(), task=PRESETS["btcv"], student="toy")
    assert (student.lam, student.teacher, student.metrics, student.postprocessing) == (None, None, {}, None)
    assert not student.learned_from.knows_all
    assert student.licence == "Apache-2.0"
