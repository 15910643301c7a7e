"""What a training refuses before it begins, and what it warns of."""

from dataclasses import replace

import pytest
from bedside.distill import distill, load_student
from bedside.distill.teachers import Teachers
from bedside.runtime.errors import InputError, UsageError
from bedside.training.data.dataset import Case

from .tiny_runs import RECIPE, taught


def test_a_student_without_teacher_must_have_lambda_one(tmp_path, dataset, coarse_task):
    with pytest.raises(UsageError, match=r"lambda 0\.5 needs a teacher: give --teacher, or --lambda 1"):
        distill(dataset, tmp_path / "s", student="unet-nano", lam=0.5, teacher=None, task=coarse_task, recipe=RECIPE)


def test_online_a_grid_other_than_the_teachers_is_refused_naming_the_field(tmp_path, teacher_run, dataset, coarse_task):
    finer = coarse_task.replaced(spacing=(5.0, 5.0, 5.0))
    with pytest.raises(UsageError, match='differs from that of teacher "teacher" in: spacing'):
        taught(tmp_path / "s", dataset, teacher_run, task=finer, targets="online")


def test_a_student_run_is_no_teacher_and_the_other_way_round(teacher_run):
    with pytest.raises(InputError, match="is a teacher run; expected a student"):
        load_student(teacher_run)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unlabelled": 0.5}, "lists no scans without labels"),
        ({"unlabelled": 0.5, "lam": 1.0}, "a --lambda below 1, or leave --unlabelled and its share out"),
        ({"pseudo_labels": True}, "give --unlabelled FOLDER or name .*, or leave --pseudo-labels out"),
        ({"unlabelled": 0.5, "pseudo_labels": True}, "or leave --pseudo-labels and --unlabelled-share out"),
        ({"scans": True, "pseudo_labels": True}, "give an --unlabelled-share above 0, or leave --pseudo-labels out"),
        (
            {"teacher": None, "lam": 1.0, "unlabelled": 0.5},
            "need a teacher: give --teacher with --pseudo-labels or a --lambda below 1, or leave --unlabelled and its",
        ),
        ({"teacher": None, "lam": 1.0, "pseudo_labels": True}, "give --teacher, or leave --pseudo-labels out"),
        ({"teacher": None, "unlabelled": 0.5}, "lambda 0.5 needs a teacher: give --teacher$"),
        ({"labels": ("background", "liver")}, "in: labels; leave --task out, or give a teacher of this task"),
        ({"imitation": "l1"}, 'no imitation loss "l1"; expected one of: mse, dice-ce'),
        ({"targets": "later"}, 'targets: expected cached, online, got "later"'),
        (
            {"student": "swinunetr-tiny", "init": True},
            "is a run of unet-nano; --init needs an earlier run or bundle of swinunetr",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    tmp_path, dataset, coarse_task, small_student, changes, message
):
    given = {"teacher": small_student, "task": coarse_task, **changes}
    if labels := given.pop("labels", None):
        given["task"] = coarse_task.replaced(labels=labels)
    unlabelled = dataset.training if given.pop("scans", False) else ()
    if given.get("init"):
        given["init"] = small_student
    with pytest.raises(UsageError, match=message):
        taught(tmp_path / "s", replace(dataset, unlabelled=unlabelled), given.pop("teacher"), **given)


def test_a_run_that_is_there_is_refused_before_a_teacher_is_opened(
    tmp_path, dataset, coarse_task, small_student, monkeypatch
):
    monkeypatch.setattr(Teachers, "open", lambda paths: pytest.fail("a teacher was opened"))
    with pytest.raises(UsageError, match="holds a run already"):
        taught(small_student, dataset, small_student, task=coarse_task)


def test_a_teacher_that_has_seen_the_students_validation_cases_is_told(
    tmp_path, teacher_run, dataset, coarse_task, caplog
):
    taught(tmp_path / "student", replace(dataset, validation=dataset.training), teacher_run)
    said = '1 of the 1 validation scans, or copies of them, are among those from which teacher "teacher" learned'
    assert said in caplog.text


def test_unusual_scans_among_those_without_labels_are_told(
    tmp_path, with_unlabelled, small_student, coarse_task, caplog
):
    label_map = Case("labels", with_unlabelled.training[0].label)
    others = (*with_unlabelled.unlabelled, label_map)
    taught(tmp_path / "s", replace(with_unlabelled, unlabelled=others), small_student, task=coarse_task, unlabelled=0.5)
    assert f"1 of {len(others)} scans without labels are unusual, such as: " in caplog.text
