"""A teacher and a student, trained for two steps on phantoms: that they learn is shown by the demo, not here."""

from dataclasses import replace

import pytest
import torch
from bedside.distill import distill, load_student
from bedside.runtime.errors import InputError, UsageError
from bedside.runtime.task_presets import PRESETS
from bedside.teacher.autosam_config import AutoSamConfig
from bedside.teacher.train import load_teacher, train_teacher
from bedside.training.data.dataset import load_dataset
from bedside.training.loop.checkpoint import save_weights
from bedside.training.loop.hardware import Hardware
from bedside.training.phantoms.phantom import write_phantoms
from bedside.training.recipe import Recipe
from bedside.training.runs.run import Run, RunConfig

RECIPE = Recipe(epochs=1, steps_per_epoch=2, batch=2, warmup=0)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    written = load_dataset(write_phantoms(tmp_path_factory.mktemp("phantoms") / "data", 2, seed=1))
    return replace(written, validation=())  # validation is tested with the loop itself


@pytest.fixture(scope="module")
def task():
    return PRESETS["btcv"].replaced(spacing=(8.0, 8.0, 8.0), patch=(64, 64, 32))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, dataset, task):
    out = tmp_path_factory.mktemp("runs") / "teacher"
    train_teacher(dataset, task, out, config=AutoSamConfig(sam="vit_nano"), recipe=RECIPE, hardware=Hardware("cpu"))
    return out


def test_a_trained_teacher_opens_from_its_run(teacher, task):
    model, run = load_teacher(teacher)
    options = {
        "sam": "vit_nano",
        "preset": "paper",
        "depth_axis": "z",
        "apg": True,
        "mlam": True,
        "train_encoder": True,
    }
    assert run.config.model.options == options
    assert not model.training
    with torch.inference_mode():
        assert model(torch.zeros(1, 1, *task.patch.dhw)).shape == (1, 14, 32, 64, 64)


def test_a_student_learns_from_the_teachers_run_and_opens_from_its_own(tmp_path, teacher, dataset, task, caplog):
    distill(
        dataset,
        tmp_path / "student",
        student="unet-nano",
        lam=0.5,
        teacher=teacher,
        task=None,
        recipe=RECIPE,
        hardware=Hardware("cpu"),
    )
    loaded = load_student(tmp_path / "student")
    assert loaded.task == task
    assert (loaded.student, loaded.lam, loaded.teacher) == ("unet-nano", 0.5, "teacher")
    assert loaded.data_hash == Run.open(teacher).config.data_hash
    assert float(loaded.metrics["loss"]) > 0
    assert len(list((tmp_path / "student" / "targets").glob("*.npy"))) == len(dataset.training)
    assert "taught the teacher" not in caplog.text  # nothing is validated on


def test_a_student_learns_from_an_ablated_teacher(tmp_path, dataset, task):
    config = AutoSamConfig(sam="vit_nano", apg=False, mlam=False)
    run = Run.create(
        tmp_path / "neither",
        RunConfig(model=config.recorded(), task=task, recipe=RECIPE, dataset="d", data_hash="0"),
        resume=False,
    )
    run.start()
    save_weights(run.best, config.build(task.num_classes, task.patch.dhw))
    one_case = replace(dataset, training=dataset.training[:1])
    distill(
        one_case,
        tmp_path / "student",
        student="unet-nano",
        lam=0.5,
        teacher=run.path,
        task=None,
        recipe=Recipe(epochs=1, steps_per_epoch=1, warmup=0),
        hardware=Hardware("cpu"),
    )
    assert load_student(tmp_path / "student").teacher == "neither"


def test_the_baseline_needs_no_teacher(tmp_path, dataset, task):
    distill(
        dataset,
        tmp_path / "baseline",
        student="unet-nano",
        lam=1.0,
        teacher=None,
        task=task,
        recipe=RECIPE,
        hardware=Hardware("cpu"),
    )
    loaded = load_student(tmp_path / "baseline")
    assert (loaded.lam, loaded.teacher) == (1.0, None)
    assert not (tmp_path / "baseline" / "targets").exists()


def test_a_student_without_teacher_must_have_lambda_one(tmp_path, dataset, task):
    with pytest.raises(UsageError, match="--lambda 1"):
        distill(dataset, tmp_path / "s", student="unet-nano", lam=0.5, teacher=None, task=task, recipe=RECIPE)


def test_a_task_other_than_the_teachers_is_refused_naming_the_field(tmp_path, teacher, dataset, task):
    with pytest.raises(UsageError, match='differs from that of teacher "teacher" in: spacing'):
        distill(
            dataset,
            tmp_path / "s",
            student="unet-nano",
            lam=0.5,
            teacher=teacher,
            task=task.replaced(spacing=(5.0, 5.0, 5.0)),
            recipe=RECIPE,
        )


def test_a_student_run_is_no_teacher_and_the_other_way_round(teacher):
    with pytest.raises(InputError, match="is a teacher run; expected a student"):
        load_student(teacher)


def test_a_teacher_that_has_seen_the_students_validation_cases_is_told(tmp_path, teacher, dataset, task, caplog):
    distill(
        replace(dataset, validation=dataset.training),
        tmp_path / "student",
        student="unet-nano",
        lam=0.5,
        teacher=teacher,
        task=None,
        recipe=Recipe(epochs=1, steps_per_epoch=1, warmup=0),
        hardware=Hardware("cpu"),
    )
    assert "it may have learnt from the student's validation cases" in caplog.text
