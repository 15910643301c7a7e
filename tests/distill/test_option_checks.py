"""What a distillation refuses without opening a network; test_train_refusals.py: each message."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from bedside.distill.option_checks import check_distillation, check_options
from bedside.distill.teacher import Teacher
from bedside.runtime.errors import UsageError

WITHOUT_SCANS = SimpleNamespace(name="toy", unlabelled=())


def test_a_bundle_of_other_classes_is_refused_without_opening_its_network(bundle_path, task, monkeypatch):
    monkeypatch.setattr(Teacher, "open", lambda path: pytest.fail("a teacher was opened"))
    task, given = task.replaced(patch=(64, 32, 32)), {"pseudo_labels": False, "online": False}
    check_distillation(WITHOUT_SCANS, task, "unet-nano", [bundle_path], 0.5, 0.0, **given)
    other = task.replaced(labels=(*task.labels[:-1], "other"))
    with pytest.raises(UsageError, match=f'differs from that of teacher "{bundle_path.name}" in: labels'):
        check_distillation(WITHOUT_SCANS, other, "unet-nano", [bundle_path], 0.5, 0.0, **given)


def test_a_teacher_that_takes_no_part_is_not_read(task):
    task, given = task.replaced(patch=(64, 32, 32)), {"pseudo_labels": False, "online": False}
    check_distillation(WITHOUT_SCANS, task, "unet-nano", [Path("missing")], 1.0, 0.0, **given)


@pytest.mark.parametrize(
    ("taught", "message"), [(True, "lists no scans without labels"), (False, "lambda 0.5 needs a teacher")]
)
def test_pseudo_labels_need_a_teacher_and_scans(taught, message):
    with pytest.raises(UsageError, match=message):
        check_options(WITHOUT_SCANS, 0.5, 0.5, pseudo_labels=True, taught=taught)
