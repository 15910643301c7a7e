"""The spatial adapter: a small trainable branch that adds a 3D convolution to a frozen SAM block.

Equals `plain.adapter`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_NEARLY_NOTHING = 1e-3


class SpatialAdapter(nn.Module):
    """``X + Act(Conv(Act(X W_down))) W_up`` with a depth-wise 3³ convolution (section 3.2, Fig. 2B).

    With ``start_as_sam`` the up-projection starts at a standard deviation of 1e-3: the block starts as SAM's, and yet
    all three layers receive a gradient from the first step on. (With exact zeros the first two layers would receive
    none; with exact zeros in front of the released code's last ReLU, no layer would ever receive one.)

    Args:
        width: token width C; the bottleneck is C / 2.
        last_relu: whether a ReLU precedes the residual sum, as in the released code but not in the paper's formula.
        start_as_sam: whether the adapter starts close to the identity; else with PyTorch's default weights.
    """

    def __init__(self, width: int, *, last_relu: bool, start_as_sam: bool) -> None:
        super().__init__()
        self.down = nn.Linear(width, width // 2)
        self.convolution = nn.Conv3d(width // 2, width // 2, 3, padding=1, groups=width // 2)
        self.up = nn.Linear(width // 2, width)
        self.last_relu = last_relu
        if start_as_sam:
            nn.init.normal_(self.up.weight, std=_NEARLY_NOTHING)
            nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Returns ``[B, D, H, W, C]`` for tokens ``[B, D, H, W, C]``."""
        # Channels stay last and the ReLUs work in place, so that autograd keeps one tensor per step.
        hidden = F.relu(self.down(x), inplace=True).permute(0, 4, 1, 2, 3)
        hidden = F.relu(self.convolution(hidden).permute(0, 2, 3, 4, 1).contiguous(), inplace=True)
        change = self.up(hidden)
        return x + (torch.relu(change) if self.last_relu else change)
