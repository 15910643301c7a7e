import itertools
import os
import signal
import sys

import pytest
import torch
from bedside.runtime.errors import InputError, UsageError
from bedside.training.data.crops import CropDataset
from bedside.training.loop.hardware import make_fabric
from bedside.training.loop.interrupt import TrainingInterrupted
from bedside.training.loop.step import DivergedError
from bedside.training.recipe import Recipe
from safetensors.torch import load_file

from .tiny_fit import figures, make_run, network, objective, train


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


def test_the_last_two_checkpoints_are_kept_and_the_older_serves_if_the_newer_is_lost(tmp_path, prepared, small_task):
    run = make_run(tmp_path / "run", small_task)
    _, expected = train(run, prepared)
    assert run.previous.exists()
    run.last.unlink()
    _, resumed = train(run, prepared, model=torch.nn.Conv3d(1, 2, 1))
    assert torch.equal(resumed.weight, expected.weight)


@pytest.mark.parametrize("damage", [lambda data: data[:100], lambda data: data[:-1] + bytes([data[-1] ^ 1])])
def test_a_damaged_checkpoint_is_told_and_the_one_before_it_serves(tmp_path, prepared, small_task, caplog, damage):
    run = make_run(tmp_path / "run", small_task)
    _, expected = train(run, prepared)
    run.last.write_bytes(damage(run.last.read_bytes()))
    _, resumed = train(run, prepared, model=torch.nn.Conv3d(1, 2, 1))
    assert torch.equal(resumed.weight, expected.weight)
    assert "cannot be read" in caplog.text
    assert "going on from previous.safetensors instead, epoch 3, step 0" in caplog.text


def test_checkpoints_that_are_all_damaged_are_not_taken_for_a_start_from_nothing(tmp_path, prepared, small_task):
    run = make_run(tmp_path / "run", small_task)
    train(run, prepared)
    for path in run.checkpoints():
        path.write_bytes(b"")
    with pytest.raises(InputError, match=r"last.*cannot be read.*previous.*cannot be read.*start again with another"):
        train(run, prepared)


def test_a_new_run_with_a_checkpoint_of_another_network_is_refused(tmp_path, prepared, small_task):
    run = make_run(tmp_path / "run", small_task)
    train(run, prepared)
    with pytest.raises(InputError, match=r"tensor bias: expected \(3,\), got \(2,\)"):
        train(run, prepared, model=torch.nn.Conv3d(1, 3, 1))


def test_without_validation_the_last_epochs_weights_are_the_best(tmp_path, prepared, small_task):
    run = make_run(tmp_path / "run", small_task)
    result, model = train(run, prepared)
    assert result.best is None
    assert torch.equal(load_file(run.best)["model.weight"], model.weight.detach())


def test_frozen_parameters_do_not_move(tmp_path, prepared, small_task):
    model = network()
    model.weight.requires_grad_(False)
    before, bias = model.weight.clone(), model.bias.detach().clone()
    train(make_run(tmp_path / "run", small_task), prepared, model=model)
    assert torch.equal(model.weight, before)
    assert not torch.equal(model.bias, bias)


def test_a_diverging_loss_stops_the_run_in_words(tmp_path, prepared, small_task):
    def broken(logits, batch):
        return logits.sum() * float("nan")

    with pytest.raises(DivergedError, match="the loss became nan in epoch 0; start again with a lower --lr"):
        train(make_run(tmp_path / "run", small_task), prepared, loss=broken)


def test_a_gradient_that_is_no_number_stops_the_run_before_it_reaches_the_weights(tmp_path, prepared, small_task):
    def infinite_slope(logits, batch):
        return logits.mul(0).sum().sqrt()  # value 0, derivative infinite times 0

    model = network()
    before = model.weight.detach().clone()
    with pytest.raises(DivergedError, match="the gradient became nan"):
        train(make_run(tmp_path / "run", small_task), prepared, model=model, loss=infinite_slope)
    assert torch.equal(model.weight, before)


def test_metrics_are_written_as_tensorboard_events_too(tmp_path, prepared, small_task):
    run = make_run(tmp_path / "run", small_task)
    train(run, prepared, validation=prepared)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run.path / "events")).Reload()
    assert len(events.Scalars("loss")) == 4
    assert [event.step for event in events.Scalars("dice/cube")] == [1, 3]


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
        return objective(logits, batch) * 0 + 1 + max(0, next(steps) - 4)

    run = make_run(tmp_path / "run", small_task)
    train(run, prepared, loss=climbing)
    told = [record.getMessage() for record in caplog.records if "the loss is climbing" in record.getMessage()]
    assert len(told) == 1
    assert "start again with a lower --lr" in told[0]
    assert len(run.rows()) == 4


def test_a_picture_of_a_validation_case_is_drawn_every_few_epochs(tmp_path, prepared, small_task):
    recipe = Recipe(epochs=4, steps_per_epoch=1, warmup=0, validate_every=1, pictures_every=2)
    run = make_run(tmp_path / "run", small_task, recipe)
    train(run, prepared, validation=prepared)
    assert sorted(path.name for path in run.pictures.iterdir()) == ["epoch_0001.png", "epoch_0003.png"]
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run.path / "events")).Reload()
    assert [image.step for image in events.Images("validation")] == [1, 3]


def test_without_matplotlib_there_are_no_pictures_and_one_line_says_so(
    tmp_path, prepared, small_task, caplog, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    recipe = Recipe(epochs=2, steps_per_epoch=1, warmup=0, pictures_every=1)
    run = make_run(tmp_path / "run", small_task, recipe)
    train(run, prepared, validation=prepared)
    assert not run.pictures.exists()
    assert caplog.text.count("run: pip install 'bedside[report]'") == 1


def test_mixed_precision_on_a_cpu_is_refused():
    with pytest.raises(UsageError, match="needs a GPU"):
        make_fabric("cpu", "bf16-mixed")
