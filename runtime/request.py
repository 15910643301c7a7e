"""The request of one segmentation: the scan, the task, and the caller's options."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from .labels.best_class import label_dtype
from .labels.postprocess import Postprocessing

if TYPE_CHECKING:
    from .scans.geometry import Grid
    from .scans.scan import Scan
    from .task import Task


@dataclass(frozen=True, eq=False)
class SegmentationRequest:
    """What to segment, and how.

    Attributes:
        scan: the scan; its header was read.
        task: the task of the bundle.
        overlap: fraction of a window shared with the next, 0 ≤ overlap < 1.
        skip_air: whether windows without body are skipped; their voxels become background.
        postprocessing: steps that run on the label map; none by default.
    """

    scan: Scan
    task: Task
    overlap: float
    skip_air: bool = True
    postprocessing: Postprocessing = field(default_factory=Postprocessing)

    @cached_property
    def grid(self) -> Grid:
        """The task's grid for this scan, which the network's windows cover."""
        return self.task.grid_over(self.scan.grid)

    @property
    def label_bytes(self) -> int:
        """Bytes of the label map."""
        return math.prod(self.scan.grid.shape) * np.dtype(label_dtype(self.task.num_classes)).itemsize
