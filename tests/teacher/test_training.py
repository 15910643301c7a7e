"""Each family in training: two processes, a stop and a new start, and what a run leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume
from bedside.runtime.task import Intensity, Modality, Task
from bedside.teacher import TEACHERS, teacher_config
from bedside.teacher.train import load_teacher
from bedside.training.data.crops import CropSource
from bedside.training.data.dataset import Case
from bedside.training.data.prepare import prepare_cases
from bedside.training.loop.fit import TrainingSetup, fit
from bedside.training.loop.hardware import make_fabric
from bedside.training.loop.interrupt import TrainingInterrupted
from bedside.training.loop.losses import segmentation_loss
from bedside.training.recipe import Recipe
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import RunConfig

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from family_step import CLASSES, halves, loss_of, network  # noqa: E402

FAMILIES = [name for name in TEACHERS if name != "autoprosam"]  # another name of autosam
RECIPE = Recipe(epochs=2, steps_per_epoch=2, lr=1e-3, warmup=0, positive=1.0)

torch.set_num_threads(1)


def smallest(name):
    return teacher_config(name, **TEACHERS.find(name).smallest)


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """A folder with what two processes computed for each family."""
    folder = tmp_path_factory.mktemp("together")
    environment = {key: value for key, value in os.environ.items() if key != "LOCAL_RANK"} | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, HERE / "child_families.py", folder, *FAMILIES]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", FAMILIES)
def test_gradients_of_two_processes_are_the_mean_of_their_batches(name, together):
    found = torch.load(together / f"{name}.pt")
    model = network(smallest(name))
    losses = [loss_of(model, half) for half in halves(smallest(name))]
    (sum(losses) / 2).backward()
    torch.testing.assert_close(found["loss"], losses[0].detach(), rtol=1e-5, atol=0)
    expected = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    assert found["gradients"].keys() == expected.keys()
    for parameter, gradient in expected.items():
        tolerance = 1e-4 * max(1e-4, float(gradient.abs().max()))
        torch.testing.assert_close(found["gradients"][parameter], gradient, rtol=1e-3, atol=tolerance, msg=parameter)


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Case:
    """A scan of noise, with two bright blocks as organs."""
    folder = tmp_path_factory.mktemp("scan")
    image = np.random.default_rng(0).integers(-100, 100, (40, 40, 40)).astype(np.int16)
    labels = np.zeros(image.shape, np.uint8)
    labels[4:16, 4:16, 4:16], labels[20:36, 20:36, 10:30] = 1, 2
    image[labels > 0] += 150
    grid = Grid(image.shape, np.diag([2.0, 2.0, 2.0, 1.0]))
    write_volume(folder / "scan.nii.gz", image, grid)
    write_volume(folder / "labels.nii.gz", labels, grid)
    return Case("scan", folder / "scan.nii.gz", folder / "labels.nii.gz")


def train(folder, case, config, *, seed=0, stop_at=None):
    """Trains in a run directory, from its last checkpoint if it has one; SIGTERM comes at a step."""
    d, h, w = config.patch_rule.smallest
    intensity = Intensity(clip=(-200.0, 300.0), scale_to=(0.0, 1.0))
    labels = ("background", "small", "large")
    task = Task(
        name="blocks",
        modality=Modality.CT,
        labels=labels,
        spacing=(2.0, 2.0, 2.0),
        intensity=intensity,
        patch=(w, h, d),
    )
    record = RunConfig(model=config.recorded(), task=task, recipe=RECIPE, dataset="blocks", data_hash="0" * 64)
    run = Run.create(folder, record, resume=True)
    run.start()
    loss = segmentation_loss()

    def stop(done, total, note):
        if done == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    model = network(config, seed)
    cases = prepare_cases([case], task, folder.parent / f"cases-{folder.name}-{seed}")
    setup = TrainingSetup(
        model=model,
        objective=lambda logits, batch: {"labels": loss(logits, batch["label"])},
        sources=[CropSource(each) for each in cases],
    )
    fit(run, setup, make_fabric("cpu", "32-true"), progress=stop)
    return run, model


@pytest.mark.parametrize("name", FAMILIES)
def test_a_stopped_run_goes_on_to_the_same_weights_and_opens_with_the_same_logits(name, case, tmp_path):
    config = smallest(name)
    assert CLASSES == 3
    _, expected = train(tmp_path / "whole", case, config)
    with pytest.raises(TrainingInterrupted):
        train(tmp_path / "parts", case, config, stop_at=3)
    run, resumed = train(tmp_path / "parts", case, config, seed=1)
    for (parameter, one), other in zip(expected.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other), parameter
    opened, _ = load_teacher(run.path)
    x = halves(config)[0]
    with torch.no_grad():
        assert torch.equal(opened(x), expected.eval()(x))
