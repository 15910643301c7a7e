"""Teachers: of one task, each once; their mean probabilities."""

from pathlib import Path

import numpy as np
import pytest
import torch
from bedside.distill.teachers import Teachers, check_teachers_task
from bedside.runtime import UsageError

from .toy_teacher import teacher


def test_teachers_of_different_classes_or_grids_are_refused(tmp_path, task, monkeypatch):
    made = {"a": teacher(tmp_path, task, 0), "b": teacher(tmp_path, task.replaced(spacing=(2.0, 2.0, 2.0)), 1)}
    monkeypatch.setattr("bedside.distill.teachers._open", lambda path: made[path.name])
    with pytest.raises(UsageError, match='differs from that of teacher "teacher1" in: spacing'):
        Teachers.open([Path("a"), Path("b")])
    with pytest.raises(UsageError, match='teacher "teacher0" is given twice'):
        Teachers.open([Path("a"), Path("a")])


def test_a_student_may_have_another_patch_and_name_but_not_other_labels(tmp_path, task):
    made = teacher(tmp_path, task, 0)
    check_teachers_task(task.replaced(name="other", patch=(32, 32, 32), anatomy="knee"), made)
    with pytest.raises(UsageError, match='differs from that of teacher "teacher0" in: labels'):
        check_teachers_task(task.replaced(labels=(*task.labels[:-1], "other")), made)


def test_crops_get_the_mean_probabilities_without_gradients(tmp_path, task):
    teachers = Teachers((teacher(tmp_path, task, 0), teacher(tmp_path, task, 1)))
    crops = torch.rand(2, 1, 8, 12, 16)
    mean = teachers.crop_probabilities(crops)
    each = [member.network(crops).softmax(1).detach().numpy() for member in teachers.members]
    assert mean.numpy() == pytest.approx(np.mean(each, axis=0), abs=1e-6)
    assert not mean.requires_grad
    (torch.zeros(1, requires_grad=True) + mean).sum().backward()  # a loss can use it: it is no inference tensor
