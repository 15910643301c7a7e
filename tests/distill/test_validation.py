"""The teachers' Dice on the validation cases is kept in the run, and compared with the student's."""

import logging

import msgspec
import numpy as np
import pytest
import torch
from bedside.distill.teacher import Teacher
from bedside.distill.teachers import Teachers
from bedside.distill.validation import (
    log_teachers,
    record_teachers_dice,
    teachers_dice,
    warn_of_faint_teachers,
    warn_of_unequal_teachers,
    warn_of_weak_teachers,
)
from bedside.training.data.crops import CropSource
from bedside.training.data.prepared_case import PreparedCase, write_arrays
from bedside.training.data.soft_labels import SoftLabels, write_soft_labels
from bedside.training.loop.checkpoint import save_weights
from bedside.training.prepared_run import PreparedRun
from bedside.training.recipe import Recipe
from bedside.training.runs.best_weights import BestWeights, ClassOffsetsRecord
from bedside.training.runs.learned_from import LearnedFrom
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import Distillation, ModelConfig, RunConfig

SHAPE = (8, 12, 16)


def teachers(task, *with_offsets):
    """Teachers with and without class offsets."""
    members = (
        Teacher(torch.nn.Identity(), task, str(number), str(number), LearnedFrom(class_offsets=has))
        for number, has in enumerate(with_offsets or (False,))
    )
    return Teachers(tuple(members))


@pytest.fixture
def run(tmp_path, task):
    config = RunConfig(
        model=ModelConfig(kind="student", name="toy"), task=task, recipe=Recipe(), dataset="toy", data_hash="0" * 64
    )
    made = Run(tmp_path / "run", config)
    made.path.mkdir()
    return made


@pytest.fixture
def validation(tmp_path):
    """One case: fat in planes 0…3, bone in 4…5; the teacher finds the bone and half of the fat."""
    for name in ("case", "soft"):
        (tmp_path / name).mkdir()
    truth, found = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    truth[:4], truth[4:6] = 1, 2
    found[:2], found[4:6] = 1, 2
    write_arrays(tmp_path / "case", truth.astype(np.float32), truth, truth > 0, (3.0, 3.0, 3.0), (), "toy")
    write_soft_labels(tmp_path / "soft", np.stack([found == label for label in range(3)]).astype(np.float32))
    return [CropSource(PreparedCase.open(tmp_path / "case"), SoftLabels.open(tmp_path / "soft"))]


def log_of(run, task, caplog, learned_from):
    """Returns the warnings about teachers "0", "1", … of a student with the validation scan "scan"."""
    members = [Teacher(torch.nn.Identity(), task, str(number), "0", each) for number, each in enumerate(learned_from)]
    prepared = PreparedRun(run, train=[], validation=[None], validation_scans=frozenset({"scan"}))
    log_teachers(Teachers(tuple(members)), prepared)
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_the_teachers_dice_is_the_mean_over_the_organs(run, validation, task, caplog):
    with caplog.at_level(logging.INFO, "bedside.distill"):
        record_teachers_dice(teachers(task), run, validation)
    assert teachers_dice(run) == pytest.approx((2 * 2 / 6 + 1) / 2)
    assert "the teachers' mean Dice on the 1 validation cases is 0.833" in caplog.text


def test_without_validation_cases_nothing_is_kept(run, task):
    record_teachers_dice(teachers(task), run, [])
    assert teachers_dice(run) is None


def test_each_teacher_that_has_or_may_have_learned_from_the_validation_scans_is_named(run, task, caplog):
    known = [LearnedFrom("toy", scans=frozenset({scan}), knows_all=True) for scan in ("scan", "another", "scan")]
    logged = log_of(run, task, caplog, [*known, LearnedFrom("toy")])
    assert [line.partition(" learned")[0] for line in logged] == [
        '1 of the 1 validation scans, or copies of them, are among those from which teacher "0"',
        '1 of the 1 validation scans, or copies of them, are among those from which teacher "2"',
        'not every scan is recorded from which teacher "3", or what taught it,',
    ]


def test_a_teacher_of_another_data_set_is_named_with_both(run, task, caplog):
    (line,) = log_of(run, task, caplog, [LearnedFrom("phantoms", knows_all=True)])
    assert 'teacher "0" was trained on data set "phantoms", the student on "toy"' in line


@pytest.mark.parametrize("lam", [0.0, 0.1])
def test_only_a_lambda_of_zero_is_said_to_leave_the_labels_out(run, task, caplog, lam):
    run.config = msgspec.structs.replace(run.config, distillation=Distillation(lam=lam))
    logged = log_of(run, task, caplog, [LearnedFrom("toy", knows_all=True)])
    assert [line.partition(":")[0] for line in logged] == (
        ["lambda 0 leaves all labels out, pseudo-labels too"] if lam == 0 else []
    )


@pytest.mark.parametrize(
    ("of_teachers", "own", "with_offsets", "said"),
    [
        ([False], 0.84, None, "without class offsets"),
        ([False], 0.8334, None, ""),
        ([False], 0.83, None, ""),
        ([False], None, None, ""),
        ([False], 0.83, 0.84, ""),  # class offsets were fitted to these cases, and the teachers have none
        ([True, False], 0.83, 0.84, ""),
        ([False], 0.84, 0.9, "without class offsets"),
        ([True, True], 0.83, 0.84, "like them with class offsets"),
        ([True], 0.83, None, ""),
        ([True], 0.84, None, "like them with class offsets"),
    ],
)
def test_a_student_that_is_better_than_its_teachers_is_reported_both_with_class_offsets_or_both_without(
    run, validation, task, caplog, of_teachers, own, with_offsets, said
):
    record_teachers_dice(teachers(task, *of_teachers), run, validation)  # 0.833
    offsets = ClassOffsetsRecord(0 if with_offsets is None else 1, with_offsets)
    save_weights(run.best, torch.nn.Linear(1, 1), about=BestWeights(0, own, offsets))
    warn_of_weak_teachers(run)
    warned = f"the student, {said}, is better than its teachers on the validation cases (Dice 0.840 against"
    assert (warned in caplog.text) == bool(caplog.records) == bool(said)


@pytest.mark.parametrize(
    ("members", "warned"),
    [
        ({"a": (0.86, "mine"), "b": (0.7, "mine")}, True),
        ({"a": (0.84, "mine"), "b": (0.7, "mine")}, False),  # by less than other windows may explain
        ({"a": (0.86, "others"), "b": (0.7, "mine")}, False),  # other validation cases
        ({"a": (0.86, ""), "b": (None, "")}, False),
        ({"a": (0.86, "mine")}, False),
    ],
)
def test_a_teacher_that_is_better_alone_than_the_mean_of_all_is_named(run, validation, task, caplog, members, warned):
    run.config = msgspec.structs.replace(run.config, validation_hash="mine")
    record_teachers_dice(teachers(task), run, validation)  # 0.833
    made = [
        Teacher(torch.nn.Identity(), task, name, "0", LearnedFrom("toy", "0", cases), own_dice=dice)
        for name, (dice, cases) in members.items()
    ]
    warn_of_unequal_teachers(Teachers(tuple(made)), run)
    assert ('is worse than teacher "a" alone, which in its own training had 0.860' in caplog.text) == warned
    assert ("(a 0.860, b 0.700)" in caplog.text) == warned


def test_teachers_of_one_name_are_compared_each(run, validation, task, caplog):
    run.config = msgspec.structs.replace(run.config, validation_hash="mine")
    record_teachers_dice(teachers(task), run, validation)  # 0.833
    made = (
        Teacher(torch.nn.Identity(), task, "run", sha, LearnedFrom("toy", "0", "mine"), own_dice=dice)
        for sha, dice in (("a", 0.86), ("b", 0.7))
    )
    warn_of_unequal_teachers(Teachers(tuple(made)), run)
    assert "(run 0.860, run 0.700)" in caplog.text


@pytest.mark.parametrize(
    ("rows", "share"),
    [
        (["1,0.01", "1,0.03", "1,0.9"], "3"),
        (["1,0.06", "1,0.06", "1,0.01"], None),
        (["1,0.01", ",0.5", ",0.5"], "1"),  # batches of crops without labels have no first term
        (["1,", "1,"], None),
        ([], None),
    ],
)
def test_teachers_whose_gradient_is_faint_in_most_epochs_are_reported(run, caplog, rows, share):
    run.metrics.write_text("\n".join(["epoch,gradient_labels,gradient_teacher", *(f"0,{row}" for row in rows), ""]))
    warn_of_faint_teachers(run)
    said = f"the teachers' term had {share} % of the gradient of the labels'"
    assert (said in caplog.text) if share else not caplog.records


@pytest.mark.parametrize(("imitation", "advised"), [("mse", True), ("dice-ce", False)])
def test_a_loss_that_is_in_use_is_not_advised(run, caplog, imitation, advised):
    run.config = msgspec.structs.replace(run.config, distillation=Distillation(lam=0.9, imitation=imitation))
    run.metrics.write_text("epoch,gradient_labels,gradient_teacher\n0,1,0.01\n")
    warn_of_faint_teachers(run)
    assert "a lower --lambda" in caplog.text
    assert ("--imitation dice-ce" in caplog.text) == advised
