"""Times a training step of every network on the same random crops in several rounds; the fastest counts."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from networks import ROWS, WHOLE

if TYPE_CHECKING:
    from plan import Plan

_ROUNDS = 3


def clock(device: str) -> float:
    """Returns CPU seconds, which other work on the machine lengthens least; on a GPU, wall-clock seconds."""
    if device != "cuda":
        return time.process_time()
    import torch

    torch.cuda.synchronize()
    return time.perf_counter()


def measure_steps(plan: Plan, names: list[str]) -> dict[str, float]:
    """Returns seconds per training step of each row."""
    import torch
    from bedside.training.loop.hardware import make_fabric
    from bedside.training.loop.losses import segmentation_loss

    torch.set_num_threads(plan.threads)
    task, loss = plan.task, segmentation_loss()
    fabric = make_fabric(plan.device, plan.precision)
    fabric.seed_everything(0, verbose=False)
    image = torch.rand(plan.batch, 1, *task.patch.dhw, device=fabric.device)
    label = torch.randint(task.num_classes, image.shape, device=fabric.device)
    # Rows that train the same network for different numbers of steps share the first one's figure.
    configs = {name: ROWS[name].config(plan) for name in names}
    first = {name: next(other for other in names if configs[other] == configs[name]) for name in names}
    steps: dict[str, tuple[torch.nn.Module, torch.optim.Optimizer]] = {}
    for name in dict.fromkeys(first.values()):
        model = ROWS[name].build(plan, task)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        wrapped, optimizer = fabric.setup(model, torch.optim.AdamW(trained, lr=plan.lr))
        steps[name] = wrapped.train(), optimizer
    seconds = dict.fromkeys(steps, float("inf"))
    for turn in range(_ROUNDS + 1):
        for name, (model, optimizer) in steps.items():
            begun = clock(plan.device)
            fabric.backward(loss(model(image).float(), label))
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if turn:  # the first round includes one-time work
                seconds[name] = min(seconds[name], clock(plan.device) - begun)
    return {name: seconds[first[name]] for name in names}


def epochs_of(name: str, plan: Plan, out: Path) -> int:
    """Returns how many epochs a row is trained for."""
    if not ROWS[name].equal_time:
        return plan.epochs
    seconds = json.loads((out / "step_seconds.json").read_text())
    return max(2, round(plan.epochs * seconds[WHOLE] / seconds[name]))
