"""Counts the parameters of a teacher. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ParameterCounts:
    """Numbers of parameters of a teacher.

    Attributes:
        total: all parameters.
        trainable: trainable parameters.
        components: trainable parameters by component, in the order of the network.
    """

    total: int
    trainable: int
    components: dict[str, int]

    @property
    def frozen(self) -> int:
        """Number of frozen parameters, which keep their initial values."""
        return self.total - self.trainable


def count_parameters(model: nn.Module, component: Callable[[str], str]) -> ParameterCounts:
    """Counts the parameters of a teacher.

    Args:
        model: the network.
        component: returns the component that a parameter is counted with, given its name: `TeacherConfig.component`.
    """
    components: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            part = component(name)
            components[part] = components.get(part, 0) + parameter.numel()
    total = sum(parameter.numel() for parameter in model.parameters())
    return ParameterCounts(total, sum(components.values()), components)
