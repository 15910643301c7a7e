"""Which weights a run keeps: scores that are none, ties, organs that are missing, ignored voxels."""

import os
import signal

import numpy as np
import pytest
import torch
from bedside.training.data.ignore_label import IGNORED
from bedside.training.loop.checkpoint import Position, save_checkpoint, save_weights
from bedside.training.loop.interrupt import TrainingInterrupted
from bedside.training.recipe import Recipe
from safetensors.torch import load_file

from .tiny_fit import make_run, network, relabelled, train


def without_organ(case, folder):
    return relabelled(case, folder, np.zeros_like(case.labels()))


def test_validation_cases_without_an_organ_give_no_score_and_the_last_epochs_weights_are_kept(
    tmp_path, prepared, small_task, caplog
):
    run = make_run(tmp_path / "run", small_task)
    result, model = train(run, prepared, validation=[without_organ(prepared[0], tmp_path / "empty")])
    assert result.best is None
    assert torch.equal(load_file(run.best)["model.weight"], model.weight.detach())
    assert caplog.text.count("no validation case has a label: there is no score") == 1
    assert all("dice" not in row and "dice_cube" not in row for row in run.rows())
    header, *rows = run.metrics.read_text().splitlines()
    place = header.split(",").index("dice_cube")
    assert [row.split(",")[place] for row in rows] == [""] * 4


def test_a_resumed_run_without_scores_keeps_the_last_weights_too(tmp_path, prepared, small_task):
    empty = [without_organ(prepared[0], tmp_path / "empty")]
    run = make_run(tmp_path / "run", small_task)

    def stop_at_eighth_step(done, total, note):
        if done == 8:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingInterrupted):
        train(run, prepared, validation=empty, progress=stop_at_eighth_step)
    assert not run.best.exists()
    _, model = train(run, prepared, model=torch.nn.Conv3d(1, 2, 1), validation=empty)
    assert torch.equal(load_file(run.best)["model.weight"], model.weight.detach())


def test_a_score_of_0_that_an_older_version_gave_where_there_is_none_does_not_keep_its_weights(
    tmp_path, prepared, small_task
):
    empty = [without_organ(prepared[0], tmp_path / "empty")]
    run = make_run(tmp_path / "run", small_task)
    save_weights(run.best, torch.nn.Conv3d(1, 2, 1))
    model = network()
    optimizer = torch.optim.AdamW(model.parameters())
    save_checkpoint(run.last, model, optimizer, Position(epoch=2, best=0.0))
    _, model = train(run, prepared, model=model, validation=empty)
    assert torch.equal(load_file(run.best)["model.weight"], model.weight.detach())


def test_an_organ_that_no_validation_case_has_is_left_out_of_the_mean_and_named(tmp_path, prepared, small_task, caplog):
    task = small_task.replaced(labels=("background", "cube", "sphere"))
    run = make_run(tmp_path / "run", task, Recipe(epochs=1, steps_per_epoch=1, warmup=0))
    train(run, prepared, model=torch.nn.Conv3d(1, 3, 1), validation=prepared)
    (row,) = run.rows()
    assert row["dice"] == row["dice_cube"]
    assert "dice_sphere" not in row
    assert "in no validation case: sphere; the mean Dice leaves this out" in caplog.text


def test_of_epochs_that_score_the_same_the_last_ones_weights_are_the_best(tmp_path, prepared, small_task):
    """A network that says background everywhere finds nothing in any epoch: Dice 0 throughout."""
    model = torch.nn.Conv3d(1, 2, 1)
    with torch.no_grad():
        model.bias.copy_(torch.tensor([50.0, -50.0]))
    run = make_run(tmp_path / "run", small_task)
    result, model = train(run, prepared, model=model, validation=prepared)
    assert result.best == 0
    assert {row["dice"] for row in run.rows() if "dice" in row} == {"0"}
    assert torch.equal(load_file(run.best)["model.weight"], model.weight.detach())


def test_a_picture_of_a_case_with_ignored_voxels_shows_its_organs(tmp_path, prepared, small_task):
    labels = np.asarray(prepared[0].labels()).astype(np.uint16)
    labels[0] = IGNORED
    case = relabelled(prepared[0], tmp_path / "case", labels, ignored=labels[0].size)
    run = make_run(tmp_path / "run", small_task, Recipe(epochs=1, steps_per_epoch=1, warmup=0, pictures_every=1))
    train(run, prepared, validation=[case])
    assert [path.name for path in run.pictures.iterdir()] == ["epoch_0000.png"]
