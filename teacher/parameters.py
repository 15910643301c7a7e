"""Which parameters of a SAM teacher train, and how many there are."""

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
"""What trains: part of a parameter's name → component. All else is SAM's and frozen."""


@dataclass(frozen=True)
class ParameterCounts:
    """Parameters of a teacher.

    Attributes:
        total: all parameters.
        trainable: those that train.
        components: trainable parameters by component, in the order of `COMPONENTS`.
    """

    total: int
    trainable: int
    components: dict[str, int]

    @property
    def frozen(self) -> int:
        """Parameters that stay as SAM has them."""
        return self.total - self.trainable


def component_of(name: str) -> str | None:
    """The component a parameter belongs to; None for SAM's frozen ones."""
    return next((component for part, component in COMPONENTS if part in name), None)


def freeze_sam(model: nn.Module) -> None:
    """Lets only the components train: convolutions, adapters, norms and the depth tables (section 3.2)."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(component_of(name) is not None)


def count_parameters(model: nn.Module) -> ParameterCounts:
    """Counts the parameters of a SAM teacher."""
    components = dict.fromkeys((component for _, component in COMPONENTS), 0)
    total = 0
    for name, parameter in model.named_parameters():
        total += parameter.numel()
        component = component_of(name)
        if component is not None and parameter.requires_grad:
            components[component] += parameter.numel()
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return ParameterCounts(total, trainable, {name: count for name, count in components.items() if count})
