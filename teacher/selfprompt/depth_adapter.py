"""Adapters that let SAM's blocks see along the depth of a patch.

Source: Self-Prompt-SAM, section 3.1 and ablations S3 to S6, after AIM (arXiv:2302.03024).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

_RATIO = 4
_NEARLY_NOTHING = 1e-3


class DepthMlp(nn.Module):
    """Two layers along depth with a GELU between them and a skip connection, the same at every place and channel.

    It starts beside the identity.

    Args:
        depth: slices D of a patch.
    """

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.first = nn.Linear(depth, _RATIO * depth)
        self.second = nn.Linear(_RATIO * depth, depth)
        _start_beside_zero(self.second)

    def forward(self, x: Tensor) -> Tensor:
        """Returns ``[B, D, N, C]`` for tokens ``[B, D, N, C]``."""
        # Weights from the left: the tokens of a slice stay one after the other, and none are moved in memory.
        hidden = F.gelu(self.first.weight @ x.flatten(2) + self.first.bias[:, None])
        return x + (self.second.weight @ hidden + self.second.bias[:, None]).reshape(x.shape)


class DepthAdapter(nn.Module):
    """A bottleneck of two layers, and a depth MLP inside, before or after it: what is to be added to the tokens.

    The second layer starts beside zero, and so does the result.

    Args:
        width: token width C; the bottleneck is C / 4.
        depth: slices D of a patch.
        depth_mlp: place of the depth MLP: "fused", "before", "after", or "plain" for none.
    """

    def __init__(self, width: int, depth: int, depth_mlp: str) -> None:
        super().__init__()
        self.before, self.fused, self.after = (
            DepthMlp(depth) if depth_mlp == place else nn.Identity() for place in ("before", "fused", "after")
        )
        self.down = nn.Linear(width, width // _RATIO)
        self.up = nn.Linear(width // _RATIO, width)
        _start_beside_zero(self.up)

    def forward(self, x: Tensor) -> Tensor:
        """Returns ``[B, D, N, C]`` for tokens ``[B, D, N, C]``."""
        hidden = self.fused(F.gelu(self.down(self.before(x))))
        return self.after(self.up(hidden))


def _start_beside_zero(layer: nn.Linear) -> None:
    nn.init.normal_(layer.weight, std=_NEARLY_NOTHING)
    nn.init.zeros_(layer.bias)
