"""Decides which parameters of a SAM teacher are trainable, and counts them."""

from __future__ import annotations

from dataclasses import dataclass

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
"""Trainable parameters: part of the name → component. All other parameters are SAM's and frozen."""


@dataclass(frozen=True)
class ParameterCounts:
    """Numbers of parameters of a teacher.

    Attributes:
        total: all parameters.
        trainable: trainable parameters.
        components: trainable parameters by component, those of `COMPONENTS` first.
    """

    total: int
    trainable: int
    components: dict[str, int]

    @property
    def frozen(self) -> int:
        """Number of frozen parameters, which keep SAM's values."""
        return self.total - self.trainable


def component_of(name: str) -> str | None:
    """Returns the component that a parameter belongs to; None for SAM's frozen parameters.

    >>> component_of("encoder.blocks.0.adapter.down.weight")
    'adapters'
    """
    return next((component for part, component in COMPONENTS if part in name), None)


def freeze_sam(model: nn.Module) -> None:
    """Freezes all but the components: convolutions, adapters, norms and the depth tables train (section 3.2)."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(component_of(name) is not None)


def count_parameters(model: nn.Module) -> ParameterCounts:
    """Counts the parameters of a teacher; those of no component in `COMPONENTS` count by their outermost module."""
    components = dict.fromkeys((component for _, component in COMPONENTS), 0)
    total = 0
    for name, parameter in model.named_parameters():
        total += parameter.numel()
        if parameter.requires_grad:
            component = component_of(name) or name.partition(".")[0]
            components[component] = components.get(component, 0) + parameter.numel()
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return ParameterCounts(total, trainable, {name: count for name, count in components.items() if count})
