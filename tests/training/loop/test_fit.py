import itertools
import os
import signal

import pytest
import torch
from bedside.training.data.crops import CropDataset
from bedside.training.loop.interrupt import TrainingInterrupted
from bedside.training.loop.process_group import ProcessGroup
from bedside.training.recipe import Recipe
from safetensors.torch import load_file

from .tiny_fit import figures, make_run, objective, train


def test_training_lowers_the_loss_and_learns_the_cube(tmp_path, prepared, small_task):
    run = make_run(tmp_path / "run", small_task, Recipe(epochs=12, steps_per_epoch=8, lr=2.0, warmup=0, positive=1.0))
    result, _ = train(run, prepared, validation=prepared)
    losses = [float(row["loss"]) for row in run.rows()]
    assert len(losses) == 12
    assert losses[-1] < 0.7 * losses[0]
    assert result.best == pytest.approx(max(float(row["dice"]) for row in run.rows()), rel=1e-5)
    assert result.best > 0.5


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stopped_and_resumed_run_ends_with_the_same_weights_and_curve(tmp_path, prepared, small_task, workers):
    whole, parts = make_run(tmp_path / "whole", small_task), make_run(tmp_path / "parts", small_task)
    _, expected = train(whole, prepared)

    def stop_at_fifth_step(done, total, note):
        if done == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingInterrupted) as stopped:
        train(parts, prepared, progress=stop_at_fifth_step, workers=workers)
    assert stopped.value.exit_code == 143
    _, resumed = train(parts, prepared, model=torch.nn.Conv3d(1, 2, 1), workers=workers)
    assert torch.equal(resumed.weight, expected.weight)
    assert figures(parts) == figures(whole)


def test_without_validation_the_last_epochs_weights_are_the_best(tmp_path, prepared, small_task):
    run = make_run(tmp_path / "run", small_task)
    result, model = train(run, prepared)
    assert result.best is None
    assert torch.equal(load_file(run.best)["model.weight"], model.weight.detach())


def test_a_stop_during_validation_is_honoured_and_nothing_is_lost(tmp_path, prepared, small_task):
    whole, parts = make_run(tmp_path / "whole", small_task), make_run(tmp_path / "parts", small_task)
    _, expected = train(whole, prepared, validation=prepared)

    def stop_while_validating(done, total, note):
        if "validating, 1 of 2" in note:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingInterrupted):
        train(parts, prepared, validation=prepared, progress=stop_while_validating)
    _, resumed = train(parts, prepared, model=torch.nn.Conv3d(1, 2, 1), validation=prepared)
    assert torch.equal(resumed.weight, expected.weight)
    assert figures(parts) == figures(whole)


def test_a_stop_that_arrives_while_validating_processes_agree_is_honoured(tmp_path, prepared, small_task, monkeypatch):
    """The signal reaches a process that has said it has none, and waits for what the others say."""
    agree, waits = ProcessGroup.total, [False]

    def total(self, values):
        agreed = agree(self, values)
        if waits[0]:
            waits[0] = False
            os.kill(os.getpid(), signal.SIGTERM)
        return agreed

    def first_case_validated(done, total, note):
        waits[0] = "validating, 1 of 2" in note

    monkeypatch.setattr(ProcessGroup, "total", total)
    run = make_run(tmp_path / "run", small_task)
    with pytest.raises(TrainingInterrupted) as stopped:
        train(run, prepared, validation=prepared, progress=first_case_validated)
    assert stopped.value.exit_code == 143
    assert len(run.rows()) == 2


def test_a_finished_run_can_be_resumed_and_tells_its_loss(tmp_path, prepared, small_task):
    run = make_run(tmp_path / "run", small_task)
    first, _ = train(run, prepared)
    again, _ = train(run, prepared)
    assert again.loss == pytest.approx(first.loss, rel=1e-5)


def test_each_epoch_tells_the_share_of_time_spent_waiting_for_crops(tmp_path, prepared, small_task, monkeypatch):
    """By a clock that moves 3 s while a crop is loaded and 1 s while its loss is computed."""
    now = [0.0]
    monkeypatch.setattr("bedside.training.loop.loader.time.perf_counter", lambda: now[0])
    load = CropDataset.__getitem__

    def loading(self, index):
        now[0] += 3
        return load(self, index)

    def computing(logits, batch):
        now[0] += 1
        return objective(logits, batch)

    monkeypatch.setattr(CropDataset, "__getitem__", loading)
    run = make_run(tmp_path / "run", small_task)
    train(run, prepared, loss=computing)
    assert [row["waiting"] for row in run.rows()] == ["0.75"] * 4


def test_a_loss_that_climbs_is_reported_once_and_the_training_goes_on(
    tmp_path, prepared, small_task, caplog, monkeypatch
):
    monkeypatch.setattr("bedside.training.loop.loss_watch.WINDOW", 3)
    steps = itertools.count()

    def climbing(logits, batch):
        return {"labels": objective(logits, batch)["labels"] * 0 + 1 + max(0, next(steps) - 4)}

    run = make_run(tmp_path / "run", small_task)
    train(run, prepared, loss=climbing)
    told = [record.getMessage() for record in caplog.records if "the loss is climbing" in record.getMessage()]
    assert len(told) == 1
    assert told[0].endswith("start again with a lower --lr or a longer --warmup, and another -o")
    assert len(run.rows()) == 4
