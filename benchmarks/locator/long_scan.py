"""Makes a long CT of a short one: organs in its middle, and above and below them body without any."""

from __future__ import annotations

import numpy as np
from bedside.runtime import Grid, Volume
from bedside.runtime.preprocessing.resample import resample_linear

EDGE = 512  # voxels along x and y
TEXTURE_HU = 30  # of the planes that repeat an end plane, so that they are not all the same


def lengthened(scan: Volume, planes: int, step_mm: float) -> Volume:
    """Resamples a scan to planes of 512 × 512 voxels and repeats its end planes until it has so many.

    Args:
        scan: a CT whose first and last plane hold no organ of the task.
        planes: planes of the result, at least those that the scan needs at this distance.
        step_mm: distance of the planes.

    Returns:
        int16, in RAS orientation, with the scan in the middle of its planes.
    """
    own = scan.grid.reoriented("RAS")
    x, y, _ = (size * step for size, step in zip(own.shape, own.spacing, strict=True))
    grid = scan.grid.to_task_grid("RAS", (x / EDGE, y / EDGE, step_mm))
    values = resample_linear(scan.data.T, scan.grid, grid, outside=float(scan.data.min()))
    if len(values) > planes:
        raise SystemExit(
            f"the scan alone has {len(values)} planes of {step_mm:g} mm; give --planes {len(values)} or more"
        )
    before = (planes - len(values)) // 2
    noise = np.random.default_rng(0).integers(-TEXTURE_HU, TEXTURE_HU, (8, *values.shape[1:]))
    data = np.empty((planes, *values.shape[1:]), np.int16)
    for plane in range(planes):
        nearest = min(max(plane - before, 0), len(values) - 1)
        repeated = plane - before != nearest
        data[plane] = values[nearest] + (noise[plane % len(noise)] if repeated else 0)
    return Volume(data.T, Grid(data.T.shape, np.diag([*grid.spacing, 1.0])))
