"""Execution plans: predicts the memory of each plan for a scan and chooses one before the scan starts.

A plan makes three choices: whether a file is streamed as the windows move or loaded whole, which axis is the outermost
(scores of a whole layer across it are kept in memory), and whether these scores are float32 or float16.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ResourceError
from .labels.best_class import label_dtype
from .labels.restore import CHUNK_VOXELS
from .labels.restore_sheared import SEARCH_BYTES
from .memory.free_memory import free_memory
from .memory.resident import resident_bytes
from .preprocessing.body import MARGIN_VOXELS
from .preprocessing.preprocess import PREPARING_BYTES
from .preprocessing.voxel_mapping import MAPPING_BYTES
from .windows.axis_order import MODEL_ORDER, AxisOrder
from .windows.blend import BLOCK_PLANES, peak_blending_bytes
from .windows.plan import WindowPlan, plan_windows
from .windows.window_input import StreamedInput

if TYPE_CHECKING:
    from .engines import Engine
    from .scans.geometry import Grid
    from .scans.scan import Scan
    from .task import Task

ROOMY_BYTES = 512 * 2**20  # float32 is used where the plan's predicted peak stays below this
_PLANES = 6  # planes of scan or model grid in memory at the same time while planes are read and resampled
SLACK = 1.03  # resident memory over the sum of the arrays (gaps in the heap): 0.4 to 2.3 % more were measured …
SLACK_BYTES = 16 * 2**20  # … and some megabytes where the sum is small


@dataclass(frozen=True)
class ExecutionPlan:
    """How one scan is segmented: what is held in memory, which windows, in which order.

    Attributes:
        streamed: whether the file is read as the windows move; otherwise the whole scan is prepared first.
        order: the order of the axes, outermost first.
        plan: the window plan, in that order of axes.
        dtype: number format of scores that wait for later windows, float32 or float16.
        bytes: predicted peak memory, in addition to what the process already holds.
    """

    streamed: bool
    order: AxisOrder
    plan: WindowPlan
    dtype: type[np.floating[Any]]
    bytes: int


def choose_plan(
    scan: Scan,
    task: Task,
    grid: Grid,
    engine: Engine,
    overlap: float,
    limit: int | None,
    keep_body: bool = False,
    reserved: int = 0,
) -> ExecutionPlan:
    """Predicts the memory of every execution plan and chooses one.

    Chooses the float32 plan that needs least memory, if that is at most 512 MiB and available; otherwise the plan that
    needs least of all. So the same scan gets the same plan unless memory is short.

    Args:
        scan: the scan, whose header was read.
        task: the task of the bundle.
        grid: the task's grid for this scan.
        engine: the engine that will run the windows.
        overlap: fraction of a window shared with the next, 0 ≤ overlap < 1.
        limit: bytes the process may hold in total; None for all free memory.
        keep_body: whether the body mask is kept to the end, for post-processing.
        reserved: bytes that other scans in this process have reserved and not yet allocated.

    Raises:
        ResourceError: every plan needs more memory than the limit, or than is free.
    """
    kept = math.prod(grid.shape) // 8 if keep_body else 0
    ways = [
        _way(scan, task, engine, streamed, order, plan, dtype, kept)
        for streamed, order in _orders(scan, task, grid)
        for plan in _plans(task, grid, order, overlap)
        for dtype in (np.float32, np.float16)
    ]
    spoken_for = engine.pending_bytes + reserved
    free = free_memory() - spoken_for
    held = resident_bytes() + spoken_for
    allowed = free if limit is None else min(free, limit - held)
    exact = min((way for way in ways if way.dtype is np.float32), key=lambda way: way.bytes)
    least = min(ways, key=lambda way: way.bytes)
    chosen = exact if exact.bytes <= min(ROOMY_BYTES, allowed) else least
    if chosen.bytes <= allowed:
        return chosen
    needed = f"this scan needs about {(held + least.bytes) / 2**20:,.0f} MiB"
    if limit is not None and limit - held <= free:
        raise ResourceError(f"{needed}, the limit is {limit / 2**20:,.0f} MiB; raise the limit or crop the scan")
    raise ResourceError(f"{needed}, {(held + free) / 2**20:,.0f} MiB are there; free memory or crop the scan")


def _orders(scan: Scan, task: Task, grid: Grid) -> list[tuple[bool, AxisOrder]]:
    x, y, z = grid.shape
    whole = [(False, AxisOrder.longest_outside((z, y, x)))]
    return [(True, MODEL_ORDER), *whole] if StreamedInput.suits(scan, task, grid) else whole


def _plans(task: Task, grid: Grid, order: AxisOrder, overlap: float) -> tuple[WindowPlan, WindowPlan]:
    x, y, z = grid.shape
    plan = plan_windows(order.sizes((z, y, x)), order.sizes(task.patch_dhw), overlap)
    return plan, replace(plan, last_two_together=True)


def _way(
    scan: Scan,
    task: Task,
    engine: Engine,
    streamed: bool,
    order: AxisOrder,
    plan: WindowPlan,
    dtype: type[np.floating[Any]],
    kept: int,
) -> ExecutionPlan:
    voxels, padded = math.prod(scan.grid.shape), math.prod(plan.padded)
    source_plane = max(a * b for a, b in zip(scan.grid.shape, scan.grid.shape[1:] + scan.grid.shape[:1], strict=True))
    model_plane = plan.padded[1] * plan.padded[2]
    classes = task.num_classes
    patch = math.prod(plan.patch)
    logits = 4 * (classes + 1) * (engine.parallel + 1) * patch  # in the engine, and one being blended
    labels = voxels * np.dtype(label_dtype(classes)).itemsize
    restoring = 4 * classes * model_plane + 40 * source_plane + 32 * classes * min(source_plane, CHUNK_VOXELS)
    crossing = 0
    if scan.grid.is_sheared:
        block = (1 + BLOCK_PLANES) * (1 + plan.patch[1]) * plan.padded[2]
        crossing = MAPPING_BYTES + SEARCH_BYTES * block
    running = kept + labels + restoring + crossing + logits + peak_blending_bytes(plan, classes, dtype)
    if streamed:
        held = 4 * (plan.deepest + MARGIN_VOXELS) * model_plane + _PLANES * 4 * max(source_plane, model_plane)
        return ExecutionPlan(streamed, order, plan, dtype, _with_slack(running + held))
    raw = 0 if scan.in_memory is not None else voxels * scan.itemsize
    return ExecutionPlan(
        streamed, order, plan, dtype, _with_slack(max(raw + PREPARING_BYTES * padded + crossing, running + 4 * padded))
    )


def _with_slack(arrays: int) -> int:
    return int(SLACK * arrays) + SLACK_BYTES
