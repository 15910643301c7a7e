"""Teachers: of the same classes, each once; their mean probabilities, on whichever grid they were trained."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from bedside.distill.teacher import Teacher
from bedside.distill.teachers import Teachers, check_teachers_classes, check_teachers_input
from bedside.runtime import Grid, InputError, UsageError
from bedside.runtime.scans.nifti import write_volume
from bedside.training.data.dataset import Case
from bedside.training.data.prepare import prepare_cases

from .toy_teacher import teacher


def test_teachers_of_different_classes_are_refused_and_of_different_grids_are_not(task, monkeypatch):
    other = task.replaced(labels=("background", "fat", "ivory"))
    made = {
        "a": teacher(task, 0),
        "b": teacher(task.replaced(spacing=(2.0, 2.0, 2.0), orientation="LPS"), 1),
        "c": teacher(other, 2),
        "a again": teacher(task, 0),
    }
    monkeypatch.setattr("bedside.distill.teachers.Teacher.open", lambda path: made[path.name])
    assert len(Teachers.open([Path("a"), Path("b")]).members) == 2
    with pytest.raises(UsageError, match='differs from that of teacher "teacher2" in: labels; give teachers of one'):
        Teachers.open([Path("a"), Path("c")])
    with pytest.raises(UsageError, match='teacher "teacher0" is given twice'):
        Teachers.open([Path("a"), Path("a again")])


def test_a_teacher_given_twice_is_refused_before_it_is_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(Teacher, "open", lambda path: pytest.fail("a teacher was opened"))
    with pytest.raises(UsageError, match='teacher "run" is given twice'):
        Teachers.open([tmp_path / "run", tmp_path / "other" / ".." / "run"])


def test_a_student_may_have_another_grid_patch_and_name_but_not_other_labels(task):
    made = teacher(task, 0)
    other = task.replaced(name="other", patch=(32, 32, 32), anatomy="knee", spacing=(4, 4, 4))
    check_teachers_classes(other, made, "")
    with pytest.raises(UsageError, match='differs from that of teacher "teacher0" in: labels; so this'):
        check_teachers_classes(task.replaced(labels=(*task.labels[:-1], "other")), made, "so this")


def test_online_the_student_must_see_what_its_teacher_sees(task):
    made = teacher(task, 0)
    check_teachers_input(task.replaced(name="other", anatomy="knee"), made)
    with pytest.raises(UsageError, match=r'"teacher0" in: spacing, patch; --teacher-targets online needs both'):
        check_teachers_input(task.replaced(patch=(32, 32, 32), spacing=(4, 4, 4)), made)


def test_a_teacher_of_another_grid_reads_the_scan_and_its_probabilities_are_those_of_the_cases_voxels(tmp_path, task):
    # Other steps along each axis: a flipped, exchanged or shifted axis would give other probabilities.
    x, y, z = np.indices((30, 36, 28))
    ramp = (-700 + 9 * x + 14 * y + 22 * z).astype(np.float32)
    affine = np.diag([-1.5, 1.5, 2.0, 1.0])
    affine[:3, 3] = 20, -10, 5
    write_volume(tmp_path / "ramp.nii.gz", ramp, Grid(ramp.shape, affine))
    (case,) = prepare_cases(
        [Case("ramp", tmp_path / "ramp.nii.gz", None)], task, tmp_path / "cases", needs_labels=False
    )
    members = (
        teacher(task.replaced(spacing=(2.0, 2.5, 1.5), orientation="LPI"), 0),
        teacher(task.replaced(spacing=(5.0, 4.0, 6.0)), 1),
        teacher(task, 2),
    )
    found = Teachers(members).probabilities(case, task, torch.device("cpu"))
    image = torch.from_numpy(np.array(case.image()))[None, None]
    with torch.inference_mode():
        expected = np.mean([member.network(image).softmax(1)[0].numpy() for member in members], axis=0)
    assert found.shape == (3, *case.image().shape)
    assert found.sum(axis=0) == pytest.approx(1, abs=1e-5)
    inner = (slice(None), slice(2, -2), slice(2, -2), slice(2, -2))  # beyond the outer centres values are repeated
    assert found[inner] == pytest.approx(expected[inner], abs=2e-3)


def test_a_teacher_whose_value_is_no_number_is_refused_by_name(task, monkeypatch):
    """Rounded to 1/255 and cached, it would be background in every later training."""
    broken = teacher(task, 1)
    found = np.full((3, 2, 2, 2), 1 / 3, np.float32)
    found[1, 0, 1, 0] = np.nan
    monkeypatch.setattr(Teacher, "probabilities", lambda self, *_: found if self is broken else np.ones_like(found))
    with pytest.raises(InputError, match='teacher "teacher1" has no number as probability in case "a"'):
        Teachers((teacher(task, 0), broken)).probabilities(SimpleNamespace(name="a"), task, torch.device("cpu"))


def test_crops_get_the_mean_probabilities_without_gradients(task):
    teachers = Teachers((teacher(task, 0), teacher(task, 1)))
    crops = torch.rand(2, 1, 8, 12, 16)
    mean = teachers.crop_probabilities(crops)
    each = [member.network(crops).softmax(1).detach().numpy() for member in teachers.members]
    assert mean.numpy() == pytest.approx(np.mean(each, axis=0), abs=1e-6)
    assert not mean.requires_grad
    (torch.zeros(1, requires_grad=True) + mean).sum().backward()  # a loss can use it: it is no inference tensor
