"""What every training starts with: above all, where prepared cases lie and who shares them."""

import pytest
from bedside.runtime.errors import InputError, ResourceError, UsageError
from bedside.training.loop.hardware import make_fabric
from bedside.training.loop.processes import Team
from bedside.training.recipe import Recipe
from bedside.training.runs.run import ModelConfig, Run
from bedside.training.session import open_session

RECIPE = Recipe(epochs=1, warmup=0)


TEAM = Team(make_fabric("cpu", "32-true"))


def start(dataset, task, out, **options):
    model = ModelConfig(kind="teacher", name="x")
    with open_session(TEAM, dataset, task, out, model=model, recipe=RECIPE, **options) as session:
        return session


def test_runs_side_by_side_share_prepared_cases(small_dataset, small_task, tmp_path):
    teacher = start(small_dataset, small_task, tmp_path / "runs" / "teacher")
    written = {file: file.stat().st_mtime_ns for case in teacher.train for file in case.folder.iterdir()}
    student = start(small_dataset, small_task.replaced(patch=(32, 32, 32)), tmp_path / "runs" / "student")
    assert [case.folder for case in student.train] == [case.folder for case in teacher.train]
    assert {file: file.stat().st_mtime_ns for file in written} == written
    assert teacher.train[0].folder.parent == tmp_path / "runs" / "bedside-cases"


def test_the_folder_of_prepared_cases_can_be_chosen(small_dataset, small_task, tmp_path):
    session = start(small_dataset, small_task, tmp_path / "run", cases=tmp_path / "fast-disk", workers=2)
    assert {case.folder.parent for case in (*session.train, *session.validation)} == {tmp_path / "fast-disk"}
    assert not (tmp_path / "bedside-cases").exists()
    assert [case.name for case in session.train] == ["case0", "case1"]


def test_a_run_that_is_there_is_refused_before_anything_is_prepared(small_dataset, small_task, tmp_path):
    start(small_dataset, small_task, tmp_path / "run", cases=tmp_path / "first")
    with pytest.raises(UsageError, match="holds a run already"):
        start(small_dataset, small_task, tmp_path / "run", cases=tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_a_run_can_be_resumed_after_its_prepared_cases_were_deleted(small_dataset, small_task, tmp_path):
    import shutil

    start(small_dataset, small_task, tmp_path / "run")
    shutil.rmtree(tmp_path / "bedside-cases")
    again = start(small_dataset, small_task, tmp_path / "run", resume=True)
    assert again.train[0].image().shape == (36, 66, 70)


def test_labels_that_are_not_the_tasks_are_refused_before_a_folder_is_made(small_dataset, small_task, tmp_path):
    with pytest.raises(InputError, match='label 1 is "cube"'):
        start(small_dataset, small_task.replaced(labels=("background", "ball")), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_progress_is_heard_from_the_start_for_reading_takes_time_too(small_dataset, small_task, tmp_path):
    seen = []
    start(small_dataset, small_task, tmp_path / "run", progress=lambda *at: seen.append(at))
    assert seen[0] == (0, 3)
    assert seen[-1] == (3, 3)


def test_a_run_that_is_being_trained_is_refused_at_once_but_can_be_read(small_dataset, small_task, tmp_path):
    model = ModelConfig(kind="teacher", name="x")
    with open_session(TEAM, small_dataset, small_task, tmp_path / "run", model=model, recipe=RECIPE) as session:
        heard = []
        with pytest.raises(ResourceError, match='another process trains in "run"'):
            start(small_dataset, small_task, tmp_path / "run", resume=True, progress=lambda *at: heard.append(at))
        assert heard == []
        assert Run.open(tmp_path / "run").config == session.run.config
    start(small_dataset, small_task, tmp_path / "run", resume=True)
