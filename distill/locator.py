"""The task and student of a locator: a small student at coarse spacing that says where a task's organs are."""

from __future__ import annotations

from collections.abc import Sequence

from ..runtime.axes import XYZ
from ..runtime.task import Task

LOCATOR_STUDENT = "unet-edge-tiny"
COARSE_MM = 6.0
LOCATOR_PATCH = XYZ(48, 48, 48)  # 288 mm at 6 mm: a trunk in one to four windows for each 288 mm of its length


def locator_task(task: Task, spacing: Sequence[float] | None = None, patch: Sequence[int] | None = None) -> Task:
    """Returns the task that a locator is trained for: the given one, with its labels, on a coarse grid.

    >>> from ..runtime.task_presets import PRESETS
    >>> locator_task(PRESETS["btcv"]).spacing
    (6.0, 6.0, 6.0)

    Args:
        task: the task of the student that the locator serves.
        spacing: (x, y, z) in mm; None for 6 mm, and along axes on which the task is coarser than that, the task's.
        patch: (x, y, z) in voxels; None for 48 along each axis.

    Raises:
        UsageError: spacing or patch are not valid.
    """
    if spacing is None:
        spacing = [max(COARSE_MM, step) for step in task.spacing]
    return task.replaced(spacing=spacing, patch=LOCATOR_PATCH if patch is None else patch)
