"""A locator's network as a bundle holds it: with two outputs, background and any organ."""

from __future__ import annotations

import torch


class AnyOrgan(torch.nn.Module):
    """Joins the organs of a network to one: its softmax gives 1 minus the background's probability.

    Args:
        network: maps [B, 1, D, H, W] to logits [B, C, D, H, W], with the background first.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Returns logits [B, 2, D, H, W]: the background's, and log Σ exp of the organs'."""
        logits: torch.Tensor = self.network(image)
        return torch.cat([logits[:, :1], torch.logsumexp(logits[:, 1:], dim=1, keepdim=True)], dim=1)
