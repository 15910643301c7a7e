"""How much memory a segmentation will take, said before it starts."""

from __future__ import annotations

import math
import sys
from pathlib import Path

from .errors import ResourceError
from .geometry import Grid
from .task import Task

_CHUNK = 16_384  # voxels interpolated at a time when labels are restored


def resident_bytes() -> int:
    """Returns the physical memory this process holds now; where the system does not tell, its peak so far."""
    statistics = Path("/proc/self/statm")
    if statistics.exists():
        import resource

        return int(statistics.read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def predict_bytes(source: Grid, task: Task) -> int:
    """Predicts what segmenting a scan adds to the memory held before: the arrays that live at the same time.

    With V voxels in the scan, v in its largest plane, M = D·H·W voxels on the task's grid, C classes, a patch of
    P = p·h·w voxels, and planes of H·W voxels, in bytes:

    - preparation: the input, 4·M, and the body mask with its copy, 2·M;
    - inference: input and mask, 5·M; the label map, V, or 2·V with more than 256 labels; the accumulator and two slabs
      on their way out, 12·(C + 1)·p·H·W; two patches of logits, 8·C·P; and for restoring two planes of scores with
      their copies, 16·C·H·W, indices, 40·v, and interpolated scores, 32·C per voxel of a chunk.

    So it grows with the scan's length by some bytes per voxel, not by four per voxel and class. The engine's own
    workspace is in the memory held before, because one window runs when a model is loaded.
    """
    voxels = math.prod(source.shape)
    width, height, depth = source.to_task_grid(task.orientation, task.spacing).shape
    patch_depth, patch_height, patch_width = task.patch_dhw
    plane = max(height, patch_height) * max(width, patch_width)
    prepared = max(depth, patch_depth) * plane
    source_plane = voxels // min(source.shape)
    classes = task.num_classes
    labels = voxels * (1 if classes <= 256 else 2)
    blending = 12 * (classes + 1) * patch_depth * plane + 8 * classes * math.prod(task.patch)
    restoring = 16 * classes * plane + 40 * source_plane + 32 * classes * min(source_plane, _CHUNK)
    return max(6 * prepared, 5 * prepared + labels + blending + restoring)


def refuse_above(limit: int | None, source: Grid, task: Task) -> None:
    """Compares the predicted peak with a limit.

    Args:
        limit: bytes the process may hold; None allows any.
        source: grid of the scan, which is in memory already.
        task: the task.

    Raises:
        ResourceError: the prediction is above the limit.
    """
    if limit is None:
        return
    predicted = resident_bytes() + predict_bytes(source, task)
    if predicted > limit:
        raise ResourceError(
            f"this scan needs about {predicted / 2**20:.0f} MiB, the limit is {limit / 2**20:.0f} MiB; "
            "raise the limit or crop the scan"
        )
