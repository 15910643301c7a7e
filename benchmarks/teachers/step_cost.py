"""Derives the steps that each row makes in equal seconds; CPU seconds of one step, timed in turn, decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bedside.benchmarks.shared.step_seconds import fastest_seconds, training_step
from plan import ROWS

if TYPE_CHECKING:
    from plan import Plan

_ALONE = ", prompt generator alone"


def steps_of_rows(plan: Plan, names: Sequence[str]) -> dict[str, int]:
    """Returns the steps of each row; those in which the prompt generator trains alone are cheaper."""
    import torch

    torch.set_num_threads(plan.threads)
    torch.manual_seed(0)
    steps: dict[str, Callable[[], None]] = {}
    for name in names:
        steps[name] = _step(plan, name, alone=False)
        if ROWS[name].auxiliary_alone:
            steps[name + _ALONE] = _step(plan, name, alone=True)
    seconds = fastest_seconds(steps)

    def mean_seconds(name: str) -> float:
        alone = ROWS[name].auxiliary_alone
        return (1 - alone) * seconds[name] + alone * seconds.get(name + _ALONE, 0.0)

    return {name: max(1, round(plan.seconds / mean_seconds(name))) for name in names}


def _step(plan: Plan, name: str, *, alone: bool) -> Callable[[], None]:
    from bedside.distill import DistillationLoss
    from bedside.training.loop.objective import DeeplySupervised

    task = plan.task
    network = plan.config_of(ROWS[name]).build(task.num_classes, task.patch.dhw)
    if isinstance(network, DeeplySupervised):
        network.auxiliary_alone = alone
    loss = DistillationLoss(1.0, balanced=plan.balanced)
    return training_step(network, loss, task.num_classes, task.patch.dhw, plan)
