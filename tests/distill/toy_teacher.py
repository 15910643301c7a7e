"""Makes a teacher of one convolution, without training it."""

import torch
from bedside.distill.teachers import Teacher
from bedside.training.recipe import Recipe
from bedside.training.runs.run import ModelConfig, Run, RunConfig


def teacher(folder, task, seed):
    """Returns a teacher of the toy task's three classes; the seed gives its weights, its name and its hash."""
    torch.manual_seed(seed)
    network = torch.nn.Conv3d(1, 3, 1).eval()
    model = ModelConfig(kind="student", name="toy")
    config = RunConfig(model=model, task=task, recipe=Recipe(), dataset="toy", data_hash="0" * 64)
    return Teacher(network, Run(folder / f"teacher{seed}", config), f"{seed}" * 64)
