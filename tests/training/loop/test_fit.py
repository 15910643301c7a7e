import itertools
import os
import shutil
import signal
import sys
from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch
from bedside.runtime.errors import InputError, UsageError
from bedside.training.data.crops import CropDataset, CropSource
from bedside.training.data.ignore_label import IGNORED
from bedside.training.data.prepared_case import label_counts
from bedside.training.loop.checkpoint import Position, save_checkpoint, save_weights
from bedside.training.loop.fit import fit
from bedside.training.loop.hardware import make_fabric
from bedside.training.loop.interrupt import TrainingInterrupted
from bedside.training.loop.losses import segmentation_loss
from bedside.training.loop.process_group import ProcessGroup
from bedside.training.loop.schedule import learning_rate
from bedside.training.loop.step import DivergedError
from bedside.training.loop.validate import validate
from bedside.training.recipe import Recipe
from bedside.training.runs.run import ModelConfig, Run, RunConfig
from bedside.training.runs.run_config import Lengthening
from safetensors.torch import load_file

RECIPE = Recipe(epochs=4, steps_per_epoch=3, lr=0.2, warmup=0, positive=1.0, validate_every=2)


def make_run(path, task, recipe=RECIPE):
    model = ModelConfig(kind="student", name="conv")
    config = RunConfig(model=model, task=task, recipe=recipe, dataset="cubes", data_hash="0" * 64)
    run = Run.create(path, config, resume=True)
    run.start()
    return run


def network():
    """Grey value in, two logits out: enough to tell a bright cube from a grey body."""
    torch.manual_seed(0)
    return torch.nn.Conv3d(1, 2, 1)


def objective(logits, batch):
    return segmentation_loss()(logits, batch["label"])


def train(run, prepared, model=None, loss=objective, validation=(), progress=None, workers=0):
    sources, fabric = [CropSource(case) for case in prepared], make_fabric("cpu", "32-true")
    model = model or network()
    return fit(run, model, loss, sources, validation, fabric, workers=workers, progress=progress), model


def figures(run):
    """The rows of the metrics without the one that is a measurement of this machine."""
    return [{key: value for key, value in row.items() if key != "waiting"} for row in run.rows()]


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
    expected = [learning_rate(epoch, base=0.2, epochs=4 if epoch < 4 else 6, warmup=0) for epoch in range(6)]
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
    assert rates(whole)[1] == pytest.approx(learning_rate(1, base=0.2, epochs=4, warmup=0), rel=1e-5)
    assert rates(whole)[2] == pytest.approx(learning_rate(2, base=0.2, epochs=6, warmup=0), rel=1e-5)


def test_a_run_made_longer_before_its_first_step_is_what_it_would_have_been(tmp_path, prepared, small_task):
    run = make_run(tmp_path / "run", small_task, msgspec.structs.replace(RECIPE, epochs=2))
    _, late = train(longer(run, 4), prepared)
    _, expected = train(make_run(tmp_path / "other", small_task), prepared)
    assert torch.equal(late.weight, expected.weight)


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


def relabelled(case, folder, labels, ignored=0):
    """A copy of a prepared case with other labels ``[D, H, W]``."""
    shutil.copytree(case.folder, folder)
    np.save(folder / "labels.npy", labels)
    counts = {label: count for label, count in label_counts(labels).items() if label != IGNORED}
    return replace(case, folder=folder, counts=counts, ignored=ignored)


def without_organ(case, folder):
    return relabelled(case, folder, np.zeros_like(case.labels()))


def test_validation_cases_without_an_organ_give_no_score_and_the_last_epochs_weights_are_kept(
    tmp_path, prepared, small_task, caplog
):
    run = make_run(tmp_path / "run", small_task)
    result, model = train(run, prepared, validation=[without_organ(prepared[0], tmp_path / "empty")])
    assert result.best is None
    assert torch.equal(load_file(run.best)["model.weight"], model.weight.detach())
    assert caplog.text.count("no validation case holds a label: there is no score") == 1
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


def test_ignored_voxels_of_a_validation_case_take_no_part_in_its_score(tmp_path, prepared, small_task):
    """A network that calls everything cube is right wherever the truth is known to be cube."""
    labels = np.asarray(prepared[0].labels()).astype(np.uint16)
    labels[labels == 0] = IGNORED
    case = relabelled(prepared[0], tmp_path / "case", labels, ignored=int((labels == IGNORED).sum()))
    dice = validate(
        lambda patches: torch.cat([torch.zeros_like(patches), torch.ones_like(patches)], 1), [case], small_task,
        ProcessGroup(make_fabric("cpu", "32-true")), overlap=0.25, device=torch.device("cpu"),
    )  # fmt: skip
    assert np.isnan(dice[0])
    assert dice[1] == 1


def test_a_picture_of_a_case_with_ignored_voxels_shows_its_organs(tmp_path, prepared, small_task):
    labels = np.asarray(prepared[0].labels()).astype(np.uint16)
    labels[0] = IGNORED
    case = relabelled(prepared[0], tmp_path / "case", labels, ignored=labels[0].size)
    run = make_run(tmp_path / "run", small_task, Recipe(epochs=1, steps_per_epoch=1, warmup=0, pictures_every=1))
    train(run, prepared, validation=[case])
    assert [path.name for path in run.pictures.iterdir()] == ["epoch_0000.png"]
