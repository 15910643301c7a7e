"""The smallest training there is: one convolution that tells a bright cube from a grey body."""

import shutil
from dataclasses import replace

import numpy as np
import torch
from bedside.training.data.crops import CropSource
from bedside.training.data.ignore_label import IGNORED
from bedside.training.data.prepared_case import label_counts
from bedside.training.loop.fit import TrainingSetup, fit
from bedside.training.loop.hardware import make_fabric
from bedside.training.loop.losses import segmentation_loss
from bedside.training.recipe import Recipe
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import ModelConfig, RunConfig

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
    return {"labels": segmentation_loss()(logits, batch["label"])}


def train(run, prepared, model=None, loss=objective, validation=(), progress=None, workers=0):
    sources, fabric = [CropSource(case) for case in prepared], make_fabric("cpu", run.config.recipe.precision)
    model = model or network()
    setup = TrainingSetup(model=model, objective=loss, sources=sources, validation=validation)
    return fit(run, setup, fabric, workers=workers, progress=progress), model


def figures(run):
    """The rows of the metrics without the one that is a measurement of this machine."""
    return [{key: value for key, value in row.items() if key != "waiting"} for row in run.rows()]


def relabelled(case, folder, labels, ignored=0):
    """A copy of a prepared case with other labels ``[D, H, W]``."""
    shutil.copytree(case.folder, folder)
    np.save(folder / "labels.npy", labels)
    counts = {label: count for label, count in label_counts(labels).items() if label != IGNORED}
    return replace(case, folder=folder, counts=counts, ignored=ignored)
