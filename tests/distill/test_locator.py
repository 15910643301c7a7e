"""A locator's run: the task on a coarse grid, and a kind of its own, so that nobody takes it for a student."""

from __future__ import annotations

import re

import pytest
from bedside.distill import distill, load_locator, load_student, locator_task
from bedside.distill.locator import LOCATOR_STUDENT
from bedside.distill.teacher import Teacher
from bedside.runtime import XYZ, InputError
from bedside.runtime.task_presets import PRESETS
from bedside.training.data.dataset import load_dataset
from bedside.training.loop.hardware import Hardware
from bedside.training.phantoms.phantom import write_phantoms
from bedside.training.recipe import Recipe
from bedside.training.runs.run import Run

TASK = PRESETS["btcv"]
RECIPE = Recipe(epochs=1, steps_per_epoch=1, warmup=0)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("locator")
    distill(
        load_dataset(write_phantoms(folder / "data", 1, seed=1)),
        folder / "run",
        student=LOCATOR_STUDENT,
        lam=1.0,
        teacher=None,
        task=locator_task(TASK, patch=(32, 32, 16)),
        recipe=RECIPE,
        hardware=Hardware("cpu"),
        locator=True,
    )
    return folder / "run"


def test_its_task_is_the_students_at_six_millimetres():
    coarse = locator_task(TASK)
    assert (coarse.spacing, coarse.patch) == ((6.0, 6.0, 6.0), XYZ(48, 48, 48))
    assert (coarse.labels, coarse.intensity) == (TASK.labels, TASK.intensity)


def test_an_axis_coarser_than_that_keeps_the_tasks_spacing_and_what_is_given_counts():
    assert locator_task(TASK.replaced(spacing=(1.0, 1.0, 8.0))).spacing == (6.0, 6.0, 8.0)
    given = locator_task(TASK, (4.0, 4.0, 5.0), (32, 48, 64))
    assert (given.spacing, given.patch) == ((4.0, 4.0, 5.0), XYZ(32, 48, 64))


def test_the_run_records_that_it_is_a_locator_and_opens_as_one(run):
    assert Run.open(run).config.model.kind == "locator"
    loaded = load_locator(run)
    assert (loaded.student, loaded.task.spacing, loaded.lam) == (LOCATOR_STUDENT, (6.0, 6.0, 6.0), 1.0)


def test_neither_a_student_nor_a_teacher_is_made_of_it(run):
    with pytest.raises(InputError, match='"run" is a locator run; expected a student'):
        load_student(run)
    message = (
        '"run" is a locator run, and a locator cannot teach: give what was --output of train-teacher or distill, or'
    )
    with pytest.raises(InputError, match=message):
        Teacher.open(run)


def test_a_students_run_is_no_locator(run, tmp_path):
    config = (run / Run.CONFIG).read_text()
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / Run.CONFIG).write_text(re.sub('kind = "locator"', 'kind = "student"', config))
    with pytest.raises(InputError, match=r'"student" is a student run; expected a locator: .* distill --locator'):
        load_locator(tmp_path / "student")


def test_a_teacher_of_the_tasks_own_grid_teaches_it(run, tmp_path):
    data = load_dataset(run.parent / "data")
    given = {"recipe": RECIPE, "hardware": Hardware("cpu"), "prepared_cases": tmp_path / "cases"}
    fine = TASK.replaced(spacing=(4.0, 4.0, 8.0), patch=(32, 32, 16))
    distill(data, tmp_path / "teacher", student=LOCATOR_STUDENT, lam=1.0, teacher=None, task=fine, **given)
    coarse = locator_task(fine, patch=(32, 32, 16))
    taught = {"student": LOCATOR_STUDENT, "lam": 0.5, "teacher": tmp_path / "teacher", "task": coarse, **given}
    distill(data, tmp_path / "locator", **taught, locator=True)
    found = load_locator(tmp_path / "locator")
    assert (found.task.spacing, found.teacher, found.lam) == ((6.0, 6.0, 8.0), "teacher", 0.5)
    assert float(found.metrics["gradient_teacher"]) > 0
