"""Synthetic CTs of the largest usual plane, for measuring memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from bedside.runtime import Grid, write_volume

EDGE = 512  # voxels along x and y
AIR_HU, TISSUE_HU, TEXTURE_HU, NOISE_HU = -1000, 40, 30, 30
_NOISES = 8  # planes of noise, used cyclically


def write_scan(out: Path, planes: int, spacing: tuple[float, float, float]) -> None:
    """Writes a body with texture that almost fills its planes, so that hardly a window is of air.

    Args:
        out: path of the scan, ``.nii`` or ``.nii.gz``.
        planes: voxels along z.
        spacing: (x, y, z) in mm; the task's own, so that the model works on as many voxels.
    """
    y, x = np.mgrid[-1 : 1 : EDGE * 1j, -1 : 1 : EDGE * 1j]
    body = (x / 0.95) ** 2 + (y / 0.9) ** 2 < 1
    noise = np.random.default_rng(0).integers(-NOISE_HU, NOISE_HU, (_NOISES, EDGE, EDGE)).astype(np.int16)
    scan = np.empty((EDGE, EDGE, planes), np.int16, order="F")
    for plane in range(planes):
        texture = TISSUE_HU + TEXTURE_HU * np.sin(plane / 20 + 5 * x) * np.cos(4 * y)
        values = np.where(body, texture, AIR_HU).astype(np.int16) + noise[plane % _NOISES]
        scan[:, :, plane] = values.T
    write_volume(out, scan, Grid(scan.shape, np.diag([*spacing, 1.0])))
