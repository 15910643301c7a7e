"""The parts of an AutoSAM Adapter that train beside SAM's frozen weights. Imports no torch."""

from __future__ import annotations

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
