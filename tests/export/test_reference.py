import numpy as np
import pytest
import torch
from bedside.export.reference import Reference
from bedside.runtime import UsageError


def test_the_students_logits_of_noise_stand_in_where_there_are_no_scans(toy_student, toy_task):
    reference = Reference.from_student(toy_student, toy_task, [])
    assert len(reference.patches) == len(reference.logits) == 8
    with torch.no_grad():
        expected = toy_student(torch.from_numpy(np.asarray(reference.patches[0]))).numpy()
    assert reference.logits[0] == pytest.approx(expected, abs=1e-4)


def test_the_student_is_copied_and_left_as_it_was(toy_student, toy_task):
    toy_student.double().train()
    reference = Reference.from_student(toy_student, toy_task, [])
    assert (toy_student.training, toy_student[0].weight.dtype) == (True, torch.float64)
    assert (reference.network.training, reference.network[0].weight.dtype) == (False, torch.float32)


def test_a_student_of_another_number_of_classes_is_refused(toy_task):
    with pytest.raises(UsageError, match=r"the student returns \(1, 5, .* the task wants \(1, 3, "):
        Reference.from_student(torch.nn.Conv3d(1, 5, 1), toy_task, [])
