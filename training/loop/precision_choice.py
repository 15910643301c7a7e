"""Chooses the number format of a training by a trial of its network in bfloat16 and in float32."""

from __future__ import annotations

import logging
from functools import partial

import numpy as np
import torch
from torch.nn import functional as F

from ...runtime.task import Task
from ..data.crops import Batch
from ..recipe import Recipe, TrainingPrecision
from .cpu_network import adapt_to_cpu
from .losses import segmentation_loss
from .objective import supervised_terms, total
from .precision_check import compare_precisions, worst_of_all
from .process_group import ProcessGroup

LEAST_GAIN = 1.1
"""Least ratio of the times of a pass, float32 to bfloat16, at which bfloat16 is worth its rounding."""
_ROUNDS = 3
_BLOCKS = 4  # of one label, along each axis of an example

_log = logging.getLogger("bedside.training")


def choose_precision(model: torch.nn.Module, recipe: Recipe, task: Task, group: ProcessGroup) -> TrainingPrecision:
    """Returns the number format to train a network in, and logs it with the reason.

    That is "bf16-mixed" if on every process the device computes in bfloat16, the gradient is that of float32 up to
    rounding, and a pass is at least `LEAST_GAIN` times as fast; otherwise "32-true". Random state, weights and buffers
    stay as they are; the network is moved to its device.

    Args:
        model: the network, not yet wrapped for several processes.
        recipe: recipe with the batch and the loss of the training.
        task: task with the patch and the classes of the network.
        group: process group; all its processes call this together, and all get the same.
    """
    precision, reason = _choice(model, recipe, task, group)
    if group.first:
        _log.info("precision auto: %s, for %s", precision, reason)
    return precision


def _choice(model: torch.nn.Module, recipe: Recipe, task: Task, group: ProcessGroup) -> tuple[TrainingPrecision, str]:
    device = group.device
    if not _computes_bfloat16(group):
        return "32-true", "the device has no bfloat16"
    model.to(device)
    if device.type == "cpu":
        adapt_to_cpu(model)
    batch = example_batch(recipe.batch, task, device)
    loss = segmentation_loss(balanced=recipe.balanced)

    def objective(logits: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        return {"labels": loss(logits, batch["label"])}

    own = compare_precisions(
        model,
        lambda: total(supervised_terms(objective, model(batch["image"]).float(), batch)),
        partial(torch.autocast, device.type, torch.bfloat16),
        rounds=_ROUNDS,
    )
    worst = worst_of_all(own, group)
    if not worst.sound:
        return "32-true", f"bf16-mixed computes wrong gradients on this device: {worst}"
    faster = 1 / worst.time_ratio
    if faster < LEAST_GAIN:
        return "32-true", f"a pass in bf16-mixed is {faster:.2f} times as fast, expected {LEAST_GAIN:g} or more"
    return "bf16-mixed", f"a pass is {faster:.2f} times as fast as in 32-true ({worst})"


def _computes_bfloat16(group: ProcessGroup) -> bool:
    """Returns whether no process has a GPU that torch knows to have no bfloat16."""
    able = group.device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)
    return group.total(np.array([float(able)]))[0] == group.size


def example_batch(size: int, task: Task, device: torch.device) -> Batch:
    """Returns crops ``[size, 1, D, H, W]`` of random blocks, one label each, and of grey values with noise.

    Args:
        size: number of crops.
        task: task with the patch and the classes.
        device: device of the batch.
    """
    source = torch.Generator().manual_seed(0)
    blocks = torch.randint(task.num_classes, (size, 1, _BLOCKS, _BLOCKS, _BLOCKS), generator=source)
    labels = F.interpolate(blocks.float(), size=task.patch.dhw)
    noise = torch.rand(labels.shape, generator=source)
    return {"image": (labels / task.num_classes + 0.1 * noise).to(device), "label": labels.long().to(device)}
