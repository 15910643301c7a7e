"""Makes training steps on random crops, and times them: all in turn, in several rounds; the fastest counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bedside.distill import DistillationLoss
    from bedside.runtime.axes import DHW
    from torch import nn

    from .plan import TrainingPlan

_ROUNDS = 4


def fastest_seconds(steps: Mapping[str, Callable[[], object]], rounds: int = _ROUNDS) -> dict[str, float]:
    """Returns the CPU seconds of each step: of this process, all its threads together.

    Args:
        steps: name → function that makes one training step, or another piece of work.
        rounds: calls of each that are timed; one before them includes one-time work.
    """
    seconds = dict.fromkeys(steps, float("inf"))
    for turn in range(rounds + 1):
        for name, step in steps.items():
            begun = time.process_time()
            step()
            if turn:
                seconds[name] = min(seconds[name], time.process_time() - begun)
    return seconds


def training_step(
    network: nn.Module, loss: DistillationLoss, num_classes: int, patch: DHW, plan: TrainingPlan
) -> Callable[[], None]:
    """Returns a function that makes a step as training does, from random crops to gradients.

    Args:
        network: a student or a teacher; its weights get the layout that training gives them.
        loss: the loss; where its λ is below 1, random probabilities stand in for a teacher's.
        num_classes: output channels, background included.
        patch: size of the crops, in voxels.
        plan: crops of a step, and number format.
    """
    import torch
    from bedside.training.data.crops import Batch
    from bedside.training.loop.cpu_network import adapt_to_cpu
    from bedside.training.loop.objective import supervised_terms, total

    adapt_to_cpu(network)
    image = torch.rand(plan.batch, 1, *patch)
    crops: Batch = {"image": image, "label": torch.randint(num_classes, image.shape)}
    probabilities = torch.rand(plan.batch, num_classes, *patch).softmax(1) if loss.lam < 1 else None

    def objective(logits: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        return {"loss": loss(logits, probabilities, batch["label"])}

    def step() -> None:
        with plan.autocast():
            terms = supervised_terms(objective, network(image).float(), crops)
        total(terms).backward()
        network.zero_grad(set_to_none=True)

    return step
