"""Decides which parameters of a SAM teacher are trainable, and counts those of any teacher. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

COMPONENTS: tuple[tuple[str, str], ...] = (
    (".adapter.", "adapters"),
    (".necks.", "necks"),
    (".norm1.", "block norms"),
    (".norm2.", "block norms"),
    (".rel_pos_d", "relative depth tables"),
    (".depth_embed", "depth table"),
    (".depth_convolution.", "depth convolution"),
    ("prompt_generator.", "prompt generator"),
    ("decoder.", "mask decoder"),
)
"""Parameters that always train: part of the name → component. All others are SAM's; a configuration may freeze them."""


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


def component_of(name: str) -> str | None:
    """Returns the component that a parameter belongs to; None for a parameter of SAM's.

    >>> component_of("encoder.blocks.0.adapter.down.weight")
    'adapters'
    """
    return next((component for part, component in COMPONENTS if part in name), None)


def freeze_sam(model: nn.Module) -> None:
    """Freezes all but the components: convolutions, adapters, norms and the depth tables train (section 3.2)."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(component_of(name) is not None)


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
