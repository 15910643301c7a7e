"""From voxels to tokens: ×4 upsampling, SAM's patch embedding and the depth convolution as one convolution.

The paper's method (section 3.2, "Patch embedding adjustments") enlarges the patch four times, repeats it to three
channels, embeds every slice with SAM's frozen 16×16 patch embedding and gathers 16 slices with a depth-wise
convolution. Every step is linear, so together they are one convolution on the original voxels: stride 4, kernel 6
(the four voxels of a token and one neighbour on either side, which linear interpolation reaches).

Equals `reference.embed`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..sam.modules import PatchEmbed

UPSAMPLING = 4
SAM_PATCH = 16
TOKEN_VOXELS = SAM_PATCH // UPSAMPLING
"""Voxels per token along each axis."""


def upsampling_matrix() -> Tensor:
    """Returns the linear ×4 interpolation of one token, ``[16, 6]``: from voxels −1…4 to its 16 upsampled pixels.

    Pixel p lies at voxel (p + ½) / 4 − ½, as in ``F.interpolate(align_corners=False)``.
    """
    position = (torch.arange(SAM_PATCH, dtype=torch.float64) + 0.5) / UPSAMPLING - 0.5
    voxel = torch.arange(-1, TOKEN_VOXELS + 1, dtype=torch.float64)
    return (1 - (position[:, None] - voxel[None, :]).abs()).clamp(min=0)


class VolumePatchEmbed(PatchEmbed):
    """SAM's patch embedding with a depth-wise depth convolution, applied to a volume.

    ``proj`` is SAM's; ``depth_convolution`` is new: kernel and stride 16 along the depth axis of
    the enlarged patch. ``F.interpolate`` repeats the outermost voxel beyond the edge, and so does the replicate
    padding here, so that the single convolution equals the separate steps everywhere, borders included.

    Args:
        width: token width.
        start_as_sam: whether the depth convolution starts as the mean of its 16 slices, so that a token starts as the
            mean of SAM's tokens of these slices; else with PyTorch's default weights.
    """

    upsampling: Tensor

    def __init__(self, width: int, *, start_as_sam: bool) -> None:
        super().__init__(kernel_size=(SAM_PATCH, SAM_PATCH), stride=(SAM_PATCH, SAM_PATCH), embed_dim=width)
        self.depth_convolution = nn.Conv1d(width, width, SAM_PATCH, stride=SAM_PATCH, groups=width)
        if start_as_sam:
            nn.init.constant_(self.depth_convolution.weight, 1 / SAM_PATCH)
            nn.init.zeros_(self.depth_convolution.get_parameter("bias"))
        self.register_buffer("upsampling", upsampling_matrix(), persistent=False)

    def folded_kernel(self) -> tuple[Tensor, Tensor]:
        """Returns the single convolution: kernel ``[C, 1, 6, 6, 6]`` (depth, height, width) and bias ``[C]``."""
        up = self.upsampling.to(self.proj.weight.dtype)
        grey = self.proj.weight.sum(dim=1)  # one channel repeated three times
        plane = torch.einsum("cpq,pi,qj->cij", grey, up, up)
        slices = self.depth_convolution.weight.squeeze(1)
        kernel = torch.einsum("cd,cij->cdij", slices @ up, plane).unsqueeze(1)
        # SAM's bias is the same in every slice, so the folded bias is the depth convolution of 16 copies of it.
        bias = self.depth_convolution(self.proj.get_parameter("bias")[:, None].expand(-1, SAM_PATCH))
        return kernel, bias.squeeze(1)

    def forward(self, x: Tensor) -> Tensor:
        """Returns tokens ``[B, D/4, H/4, W/4, C]`` of voxels ``[B, 1, D, H, W]``, D being the depth axis."""
        kernel, bias = self.folded_kernel()
        padded = F.pad(x, (1,) * 6, mode="replicate")
        return F.conv3d(padded, kernel, bias, stride=TOKEN_VOXELS).permute(0, 2, 3, 4, 1)
