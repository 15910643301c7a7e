"""A training job is valid by construction, and says where its prepared cases are."""

from pathlib import Path

import msgspec
import pytest
from bedside.runtime.errors import UsageError
from bedside.training.job import TrainingHooks, TrainingJob
from bedside.training.recipe import Augmentation, Recipe

RECIPE = Recipe(epochs=1, warmup=0)


def job(dataset, task, /, **changes):
    return TrainingJob(**{"dataset": dataset, "task": task, "out": Path("/runs/student"), "recipe": RECIPE, **changes})


def test_prepared_cases_are_beside_the_run_unless_a_folder_is_given(small_dataset, small_task):
    assert job(small_dataset, small_task).cases_folder == Path("/runs/bedside-cases")
    assert job(small_dataset, small_task, prepared_cases=Path("/fast")).cases_folder == Path("/fast")


def test_the_recipe_gets_the_actual_number_of_processes(small_dataset, small_task):
    given = job(small_dataset, small_task)
    assert given.with_processes(4).recipe.processes == 4
    assert given.recipe.processes == 1


@pytest.mark.parametrize("field", ["dataset", "task", "out", "recipe", "hardware", "prepared_cases", "resume"])
def test_a_field_of_another_type_is_refused_by_its_name(small_dataset, small_task, field):
    with pytest.raises(UsageError, match=f"{field}: expected"):
        job(small_dataset, small_task, **{field: 3})


def test_mirroring_is_refused_where_a_side_has_no_counterpart(small_dataset, small_task):
    recipe = msgspec.structs.replace(RECIPE, augmentation=Augmentation(mirror=0.5))
    with pytest.raises(UsageError, match="--mirror: in a mirrored scan kidney_left"):
        job(small_dataset, small_task.replaced(labels=("background", "kidney_left")), recipe=recipe)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("preparing", "preparing(done, total)"),
        ("teaching", "teaching(done, total)"),
        ("progress", "progress(done, total, note)"),
        ("finished", "finished(run, result)"),
    ],
)
def test_a_hook_that_cannot_be_called_as_it_will_be_is_refused_with_the_right_form(name, form):
    for wrong, got in ((3, "3"), (lambda one: None, "one of (one)")):
        with pytest.raises(UsageError) as caught:
            TrainingHooks(**{name: wrong})
        assert str(caught.value) == f"{name}: expected a function {form}, got {got}"


def test_a_hook_of_two_arguments_is_refused_where_a_note_comes_too():
    with pytest.raises(UsageError, match=r"^progress: expected .*, got one of \(done, total\)$"):
        TrainingHooks(progress=lambda done, total: None)
    TrainingHooks(progress=lambda done, total, note="": None, preparing=lambda *_: None)
