"""Several processes train as one: same crops in the same step, same weights, one of them stopping stops all.

The processes talk through gloo on this machine's loopback. Gradients are averaged in float32; with two processes
that is the sum of two numbers, halved, in whatever order, so DDP gives the very weights of one process that
accumulates. FSDP sums shard by shard and takes the gradient's norm in pieces: its weights may differ in the last bits.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from bedside.training.data.crops import CropSource
from bedside.training.loop.fit import TrainingSetup, fit
from bedside.training.loop.hardware import make_fabric
from bedside.training.loop.losses import segmentation_loss
from bedside.training.recipe import Augmentation, Recipe
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import ModelConfig, RunConfig
from safetensors.torch import load_file

CHILD = Path(__file__).with_name("child_together.py")
sys.path.insert(0, str(CHILD.parent))
from networks import DeepNetwork, small_network  # noqa: E402

RECIPE = Recipe(
    epochs=3, steps_per_epoch=4, lr=0.05, warmup=0, validate_every=2, checkpoint_every=1, class_offsets=True
)
TWO_PHASES = {
    "optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.1, "auxiliary_alone": 0.4, "class_offsets": False,
    "augmentation": Augmentation(scale=1.0),  # the same cubes in each crop, else: batch statistics would be alike
}  # fmt: skip


def new_run(path, task, **changes):
    recipe = Recipe(**{key: getattr(RECIPE, key) for key in RECIPE.__struct_fields__} | changes)
    model = ModelConfig(kind="student", name="small")
    run = Run.create(
        path, RunConfig(model=model, task=task, recipe=recipe, dataset="cubes", data_hash="0" * 64), resume=False
    )
    run.start()
    return run


def alone(run, prepared, network=small_network):
    loss = segmentation_loss()
    setup = TrainingSetup(
        model=network(),
        objective=lambda logits, batch: {"labels": loss(logits, batch["label"])},
        sources=[CropSource(case) for case in prepared],
        validation=prepared,
    )
    return fit(run, setup, make_fabric("cpu", "32-true"))


def figures(run):
    return [{key: value for key, value in row.items() if key != "waiting"} for row in run.rows()]


def weights(run):
    return {name: value for name, value in load_file(run.last).items() if name.startswith("model.")}


@pytest.fixture(scope="module")
def one(tmp_path_factory, prepared, small_task):
    run = new_run(tmp_path_factory.mktemp("one") / "run", small_task, accumulate=2)
    alone(run, prepared)
    return run


@pytest.fixture(scope="module")
def together(tmp_path_factory, prepared, small_task):
    """Three runs of two processes each, and the exit code of the last, whose second process was sent SIGTERM."""
    folder = tmp_path_factory.mktemp("together")
    two, stopped = (new_run(folder / name, small_task, processes=2) for name in ("ddp", "fsdp"))
    deep = new_run(folder / "deep", small_task, processes=2, **TWO_PHASES)
    command = [sys.executable, CHILD, two.path, deep.path, stopped.path, *(case.folder for case in prepared)]
    environment = {key: value for key, value in os.environ.items() if key != "LOCAL_RANK"} | {"OMP_NUM_THREADS": "1"}
    with (folder / "words").open("w+") as words:
        child = subprocess.Popen(command, env=environment, stderr=words)
        while not stopped.last.exists() and child.poll() is None:
            time.sleep(0.005)
        if child.poll() is None:
            os.kill(int((stopped.path / "rank1").read_text()), signal.SIGTERM)
        code = child.wait(120)
    return two, deep, stopped, code, (folder / "words").read_text()


def test_two_processes_learn_what_one_learns_from_twice_the_batches(one, together):
    ours, theirs = weights(one), weights(together[0])
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_two_processes_find_the_class_offsets_of_one(one, together):
    ours, theirs = load_file(one.best), load_file(together[0].best)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert Run.open(together[0].path).config.recipe.class_offsets


def test_loss_and_validation_of_two_processes_are_those_of_one(one, together):
    assert figures(together[0]) == figures(one)


def test_a_sharded_network_stopped_on_one_process_is_saved_whole_and_goes_on_alone(prepared, one, together):
    *_, run, code, words = together
    assert code == 143, words
    assert len(figures(run)) < 3
    resumed = Run.create(run.path, one.config, resume=True)
    alone(resumed, prepared)
    assert figures(resumed)[-1]["epoch"] == "2"
    for name, expected in weights(one).items():
        torch.testing.assert_close(weights(resumed)[name], expected, rtol=1e-4, atol=1e-5)


def test_parameters_that_idle_in_the_first_epochs_do_not_stop_two_processes_or_decay(
    prepared, small_task, together, tmp_path
):
    one = new_run(tmp_path / "run", small_task, accumulate=2, **TWO_PHASES)
    alone(one, prepared, lambda: DeepNetwork(normalised=True))
    ours, theirs = weights(one), weights(together[1])
    learned = [f"model.{name}" for name, _ in DeepNetwork(normalised=True).named_parameters()]
    assert len(learned) == 8
    for name in learned:
        torch.testing.assert_close(theirs[name], ours[name], rtol=1e-6, atol=1e-7, msg=name)


def test_two_processes_validate_with_the_running_statistics_that_are_kept(together):
    run = together[1]
    first, second = (json.loads((run.path / f"statistics{rank}").read_text()) for rank in (0, 1))
    assert first == second
    kept = load_file(run.best)
    for name, value in first.items():
        torch.testing.assert_close(kept[f"model.{name}"].float(), torch.tensor(value).float())
