"""What every training starts with: above all, where prepared cases lie and who shares them."""

from dataclasses import replace

import pytest
from bedside.runtime.errors import InputError, UsageError
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


def test_a_run_records_its_fold_and_is_not_resumed_on_another(small_dataset, small_task, tmp_path):
    cases = (*small_dataset.training, *small_dataset.validation)
    folded = replace(small_dataset, validation=(), training=tuple(replace(c, fold=n) for n, c in enumerate(cases)))
    run = start(folded.split(fold=1), small_task, tmp_path / "run").run
    assert Run.open(run.path).config.fold == 1
    start(folded.split(fold=1), small_task, tmp_path / "run", resume=True)
    with pytest.raises(UsageError, match=r"differs in: the training and validation cases: --fold"):
        start(folded.split(fold=2), small_task, tmp_path / "run", resume=True)
    with pytest.raises(UsageError, match="training and validation cases"):
        start(folded, small_task, tmp_path / "run", resume=True)


def test_a_run_of_before_splits_were_recorded_goes_on(small_dataset, small_task, tmp_path):
    config = tmp_path / "run" / "config.toml"
    start(small_dataset, small_task, tmp_path / "run")
    lines = [line for line in config.read_text().splitlines() if not line.startswith("split_hash")]
    config.write_text("\n".join(lines))
    assert start(small_dataset, small_task, tmp_path / "run", resume=True).run.config.split_hash


def test_what_deserves_a_look_in_the_list_is_logged_when_training_starts(small_dataset, small_task, tmp_path, caplog):
    start(replace(small_dataset, modality=("MRI",), warnings=("a remark",)), small_task, tmp_path / "run")
    assert "a remark" in caplog.text
    assert 'the list calls its images "MRI", and task "cube" is for CT' in caplog.text
