"""The trainings of a sweep: their order, names and arguments, and when one is finished."""

import pytest
import torch
from bedside.distill.sweep.plan import SweepRun, open_folder, plan_runs
from bedside.runtime.errors import UsageError
from bedside.runtime.task_presets import PRESETS
from bedside.training.loop.checkpoint import save_weights
from bedside.training.recipe import Recipe
from bedside.training.runs.best_weights import BestWeights, ClassOffsetsRecord
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import ModelConfig, RunConfig


def test_all_lambdas_train_with_the_first_seed_before_the_second(tmp_path):
    assert [run.name for run in plan_runs(tmp_path, (1, 0.5), (7, 8))] == [
        "lambda-0.5_seed-7",
        "lambda-1_seed-7",
        "lambda-0.5_seed-8",
        "lambda-1_seed-8",
    ]


@pytest.mark.parametrize(
    ("lambdas", "seeds", "message"),
    [
        ((), (0,), "expected at least one lambda, got none"),
        ((1,), (), "expected at least one seed, got none"),
        ((0.5, 1, 0.5), (0,), "expected every lambda once, got 0.5 twice"),
        ((1,), (3, 3), "expected every seed once, got 3 twice"),
        ((2,), (0,), "lambda: expected a number in 0…1, got 2"),
        ((1,), (-1,), "seed: expected a whole number from 0 to 4294967295, got -1"),
        ((1,), (2**32,), "seed: expected a whole number from 0 to 4294967295, got 4294967296"),
        (0.5, (0,), "lambdas: expected a list of numbers, got 0.5"),
    ],
)
def test_values_that_make_no_sweep_are_refused(tmp_path, lambdas, seeds, message):
    with pytest.raises(UsageError, match=message):
        plan_runs(tmp_path, lambdas, seeds)


def test_a_training_without_teacher_draws_no_scans_without_labels(tmp_path):
    with_teacher, without = SweepRun(0.2, 3, tmp_path / "a"), SweepRun(1.0, 3, tmp_path / "b")
    shared = ["data", "--unlabelled", "scans", "--unlabelled=more", "--lr", "1"]
    expected = [*shared, "--lambda", "0.2", "--seed", "3", "-o", str(tmp_path / "a")]
    assert with_teacher.arguments(shared, resume=False) == expected
    assert with_teacher.arguments(shared, resume=True) == [*expected, "--resume"]
    words = without.arguments(shared, resume=False)
    assert words[:3] == ["data", "--lr", "1"]
    assert words[9:] == [
        "--unlabelled-share", "0", "--no-pseudo-labels", "--imitation", "mse", "--teacher-targets", "cached",
    ]  # fmt: skip


def a_run(path, recipe):
    config = RunConfig(
        model=ModelConfig(kind="student", name="unet-nano"),
        task=PRESETS["btcv"],
        recipe=recipe,
        dataset="d",
        data_hash="0",
    )
    run = Run.create(path, config, resume=False)
    run.start()
    keep(run)
    return run


def keep(run, **about):
    """Stores weights as a run's best, those of its first epoch."""
    save_weights(run.best, torch.nn.Linear(3, 2), about=BestWeights(0, **about))


def test_a_run_is_finished_when_its_last_epoch_is_recorded(tmp_path):
    planned = SweepRun(1.0, 0, tmp_path / "run")
    assert not planned.finished()
    run = a_run(planned.path, Recipe(epochs=2, warmup=0))
    run.log(0, {"epoch": 0, "loss": 1.0})
    assert not planned.finished()
    run.log(1, {"epoch": 1, "loss": 0.5})
    assert planned.finished()
    assert planned.finished(epochs=2)
    assert not planned.finished(epochs=3)


def test_a_run_that_is_to_have_class_offsets_is_finished_when_its_training_has_looked_for_them(tmp_path):
    planned = SweepRun(1.0, 0, tmp_path / "run")
    run = a_run(planned.path, Recipe(epochs=1, warmup=0, class_offsets=True))
    run.log(0, {"epoch": 0, "loss": 1.0})
    assert not planned.finished()
    keep(run, class_offsets=ClassOffsetsRecord(1))
    assert planned.finished()
    run.log(1, {"epoch": 1, "loss": 0.5})  # made longer: the offsets are those of the shorter run
    assert not planned.finished(epochs=2)


def test_a_run_that_began_without_class_offsets_is_not_finished_where_it_is_to_have_them(tmp_path):
    planned = SweepRun(1.0, 0, tmp_path / "run")
    run = a_run(planned.path, Recipe(epochs=1, warmup=0))
    run.log(0, {"epoch": 0, "loss": 1.0})
    assert planned.finished()
    assert not planned.finished(offsets=True)
    keep(run, class_offsets=ClassOffsetsRecord(1))
    assert planned.finished(offsets=True)


def test_a_sweep_goes_on_in_its_folder_only_on_request(tmp_path):
    folder = tmp_path / "sweep"
    open_folder(folder, resume=False)
    (folder / "bedside-cases").mkdir()
    open_folder(folder, resume=False)
    (folder / "lambda-1_seed-0").mkdir()
    with pytest.raises(UsageError, match=r'"sweep" holds other things .*; add --resume to go on'):
        open_folder(folder, resume=False)
    open_folder(folder, resume=True)
    (folder / "config.toml").touch()
    with pytest.raises(UsageError, match='"sweep" is a run directory'):
        open_folder(folder, resume=True)
