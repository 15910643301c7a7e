"""A teacher's task, from a run's configuration or a bundle's manifest, and without torch."""

import logging
import subprocess
import sys

import pytest
from bedside.distill.teacher_task import earlier_task, task_of_student, task_of_teacher
from bedside.runtime.errors import BundleError, InputError
from bedside.training.recipe import Recipe
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import ModelConfig, RunConfig


def test_the_task_of_a_run_and_of_a_bundle(tmp_path, task, bundle_path):
    config = RunConfig(
        model=ModelConfig(kind="student", name="toy"), task=task, recipe=Recipe(), dataset="toy", data_hash="0" * 64
    )
    run = Run.create(tmp_path / "run", config, resume=False)
    run.start()
    assert task_of_teacher(run.path) == task_of_teacher(bundle_path) == task


def test_an_altered_bundle_and_a_folder_that_is_neither_are_refused(tmp_path, bundle_path):
    manifest = bundle_path / "bundle.json"
    manifest.write_text(manifest.read_text().replace("toy", "boy"))
    with pytest.raises(BundleError, match="altered"):
        task_of_teacher(bundle_path)
    with pytest.raises(InputError, match=f'a run directory or a bundle, and "{tmp_path.name}" is a folder without'):
        task_of_teacher(tmp_path)


def test_a_student_gets_the_smallest_patch_around_its_teachers_that_it_accepts(bundle_path, task, caplog):
    assert task.patch == (16, 12, 8)
    with caplog.at_level(logging.INFO, "bedside.distill"):
        found = task_of_student(bundle_path, "unet-edge-tiny")
    assert found == task.replaced(patch=(32, 16, 16))
    assert caplog.messages == [
        f'the patch is 32 16 16: "unet-edge-tiny" does not accept 16 12 8, as in "{bundle_path.name}"'
    ]


def test_it_does_not_import_torch():
    program = "import sys, bedside.distill.teacher_task; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "False"


@pytest.fixture
def runs(tmp_path, task):
    """A run of a student and one of a locator, on grids of their own."""

    def written(kind):
        fine = task.replaced(spacing=(4.0, 4.0, 4.0), patch=(64, 64, 64))
        config = RunConfig(
            model=ModelConfig(kind=kind, name="unet-edge-tiny"),
            task=fine,
            recipe=Recipe(),
            dataset="toy",
            data_hash="0" * 64,
        )
        run = Run.create(tmp_path / kind, config, resume=False)
        run.start()
        return run.path

    return {kind: written(kind) for kind in ("student", "locator")}


@pytest.mark.parametrize(
    ("teacher", "init", "patch", "spacing", "expected"),
    [
        (None, "locator", None, 4.0, (64, 64, 64)),
        (None, "locator", (32, 32, 32), 4.0, (32, 32, 32)),
        ("student", "locator", None, 4.0, (64, 64, 64)),
        ("student", None, None, 6.0, (48, 48, 48)),
        ("locator", None, None, 6.0, (48, 48, 48)),
        (None, "student", (32, 32, 32), 6.0, (32, 32, 32)),
    ],
)
def test_a_locator_keeps_the_grid_of_the_locator_it_starts_from(runs, teacher, init, patch, spacing, expected):
    found = earlier_task(runs.get(teacher), runs.get(init), "unet-edge-tiny", locator=True, patch=patch)
    assert (found.spacing, found.patch) == ((spacing,) * 3, expected)


def test_without_teacher_and_earlier_run_there_is_no_task():
    assert earlier_task(None, None, "unet-edge-tiny", locator=False) is None


def test_a_folder_of_runs_is_answered_with_one_of_them(runs):
    message = (
        rf'is a folder without config\.toml or bundle\.json: give the run in it, "{runs["student"].parent.name}/loc'
    )
    with pytest.raises(InputError, match=message):
        task_of_teacher(runs["student"].parent)
