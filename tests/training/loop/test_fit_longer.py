"""Runs that are made longer: more epochs on resuming, and what becomes of the learning rate."""

import os
import signal

import msgspec
import pytest
import torch
from bedside.training.loop.interrupt import TrainingInterrupted
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import Lengthening
from safetensors.torch import load_file

from .tiny_fit import RECIPE, figures, make_run, train


def longer(run, epochs):
    """The run, as it is opened when it is resumed with so many epochs."""
    config = msgspec.structs.replace(run.config, recipe=msgspec.structs.replace(run.config.recipe, epochs=epochs))
    return Run.create(run.path, config, resume=True)


def rates(run):
    return [float(row["lr"]) for row in run.rows()]


def test_a_run_that_has_ended_is_made_longer_and_says_what_becomes_of_the_learning_rate(
    tmp_path, prepared, small_task, caplog
):
    run = make_run(tmp_path / "run", small_task)
    train(run, prepared)
    _, model = train(longer(run, 6), prepared)
    expected = [RECIPE.learning_rate(epoch, epochs=4 if epoch < 4 else 6) for epoch in range(6)]
    assert rates(run) == pytest.approx(expected, rel=1e-5)
    assert "from 4 to 6 epochs: from epoch 4 on" in caplog.text
    assert f"goes from {expected[3]:.3g} to {expected[4]:.3g}" in caplog.text
    assert torch.equal(load_file(run.best)["model.weight"], model.weight.detach())
    assert Run.open(run.path).config.lengthened == (Lengthening(epoch=4, epochs=4),)


def stopped_at(run, prepared, step):
    def stop(done, total, note):
        if done == step:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingInterrupted):
        train(run, prepared, progress=stop)


def test_a_longer_run_that_is_stopped_and_resumed_gives_the_same_weights_and_curve(tmp_path, prepared, small_task):
    whole, parts = make_run(tmp_path / "whole", small_task), make_run(tmp_path / "parts", small_task)
    for run in (whole, parts):
        stopped_at(run, prepared, 5)  # within the second epoch
    _, expected = train(longer(whole, 6), prepared)
    stopped_at(longer(parts, 6), prepared, 8)
    _, resumed = train(longer(parts, 6), prepared, model=torch.nn.Conv3d(1, 2, 1))
    assert torch.equal(resumed.weight, expected.weight)
    assert figures(parts) == figures(whole)
    assert rates(whole)[1] == pytest.approx(RECIPE.learning_rate(1, epochs=4), rel=1e-5)
    assert rates(whole)[2] == pytest.approx(RECIPE.learning_rate(2, epochs=6), rel=1e-5)


def test_a_run_made_longer_before_its_first_step_is_what_it_would_have_been(tmp_path, prepared, small_task):
    run = make_run(tmp_path / "run", small_task, msgspec.structs.replace(RECIPE, epochs=2))
    _, late = train(longer(run, 4), prepared)
    _, expected = train(make_run(tmp_path / "other", small_task), prepared)
    assert torch.equal(late.weight, expected.weight)


def test_a_longer_run_without_scores_that_was_stopped_has_the_weights_and_the_figures_of_its_former_end(
    tmp_path, prepared, small_task
):
    run = make_run(tmp_path / "run", small_task)
    train(run, prepared)
    kept, row = run.best.read_bytes(), Run.open(run.path).best_row()
    assert row["epoch"] == "3"

    def stop(done, total, note):
        if done == 17:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingInterrupted):
        train(longer(run, 8), prepared, progress=stop)
    assert run.best.read_bytes() == kept
    assert Run.open(run.path).rows()[-1]["epoch"] == "4"
    assert Run.open(run.path).best_row() == row
    train(longer(run, 8), prepared)
    assert Run.open(run.path).best_row()["epoch"] == "7"
