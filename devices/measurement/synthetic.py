"""A synthetic scan for end-to-end timing without a real one: a trunk with lungs, organs, spine and noise.

It has the size, the air around the body and the intensities of a real scan, so that reading, skipping of air and
resampling do their usual work. It says nothing about accuracy.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.axes import XYZ
from ...runtime.task import Modality, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FIELD_OF_VIEW_MM = (320.0, 240.0, 200.0)
MAX_VOXELS_PER_AXIS = 512
WINDOWS_PER_AXIS = 4  # of a file, side by side, at most: a task with small windows is for a small part of the body
_AIR, _NOISE = -1000.0, 12.0
# (centre, half axes) as fractions of the field of view, x towards the right and y towards the front; HU.
_ELLIPSOIDS = (
    ((0.50, 0.50, 0.50), (0.45, 0.42, 9.0), 40.0),  # trunk: a cylinder
    ((0.30, 0.50, 0.95), (0.14, 0.24, 0.30), -800.0),  # lungs, cut by the upper edge
    ((0.70, 0.50, 0.95), (0.14, 0.24, 0.30), -800.0),
    ((0.66, 0.55, 0.55), (0.18, 0.24, 0.26), 110.0),  # liver
    ((0.24, 0.40, 0.55), (0.08, 0.10, 0.14), 120.0),  # spleen
    ((0.30, 0.30, 0.30), (0.06, 0.08, 0.16), 160.0),  # kidneys
    ((0.70, 0.30, 0.30), (0.06, 0.08, 0.16), 160.0),
    ((0.50, 0.22, 0.50), (0.07, 0.09, 9.0), 400.0),  # spine
)


def synthetic_scan(task: Task, windows: int | None = None) -> NDArray[np.int16]:
    """Computes a synthetic trunk at the task's spacing.

    Args:
        task: gives spacing (mm, x, y, z), window, and modality; MR has the same shapes, with air at 0.
        windows: the most windows along an axis, side by side; None for a whole trunk.

    Returns:
        [X, Y, Z] int16, in HU for CT; always the same for the same task.
    """
    import numpy as np

    most = MAX_VOXELS_PER_AXIS
    shape = tuple(
        min(round(length / step), most, most if windows is None else windows * window) or 1
        for length, step, window in zip(FIELD_OF_VIEW_MM, task.spacing, task.patch, strict=True)
    )
    axes = [(np.arange(size, dtype=np.float32) + 0.5) / size for size in shape]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    scan = np.full(shape, _AIR, dtype=np.float32)
    for (cx, cy, cz), (rx, ry, rz), value in _ELLIPSOIDS:
        inside = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2 <= 1
        scan[inside] = value
    scan += _NOISE * np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    if task.modality is Modality.MR:
        scan = np.maximum(scan - _AIR, 0)
    return np.round(scan).astype(np.int16)


def write_synthetic_scan(task: Task, path: Path) -> str:
    """Writes `synthetic_scan`, at most four windows long along each axis, as a NIfTI file with RAS axes.

    Returns:
        A one-line description of the scan, with its size and spacing.

    Raises:
        ResourceError: the file cannot be written.
    """
    import numpy as np

    from ...runtime.scans.geometry import Grid
    from ...runtime.scans.nifti import write_volume

    scan = synthetic_scan(task, WINDOWS_PER_AXIS)
    grid = Grid(scan.shape, np.diag([*task.spacing, 1.0]))
    write_volume(path, scan, grid)
    return f"synthetic trunk, {describe_grid(grid.shape, task.spacing)} (no scan was given)"


def describe_grid(shape: XYZ, spacing: tuple[float, float, float]) -> str:
    """Returns size and spacing (mm) as text.

    >>> describe_grid(XYZ(27, 20, 17), (12.0, 12.0, 12.0))
    '27×20×17 voxels of 12×12×12 mm'
    """
    return f"{'×'.join(map(str, shape))} voxels of {'×'.join(f'{step:.4g}' for step in spacing)} mm"
