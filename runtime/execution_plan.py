"""Execution plans: predicts the memory of each plan for a scan and chooses one before the scan starts.

A plan makes three choices: whether a file is streamed as the windows move or loaded whole, which axis is the outermost
(scores of a whole layer across it are kept in memory), and whether these scores are float32 or float16.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .labels.best_class import label_dtype
from .labels.restore_sheared import SEARCH_BYTES
from .memory.memory_limit import MemoryBudget
from .preprocessing.body import MARGIN_VOXELS
from .preprocessing.neighbours import CHUNK_VOXELS
from .preprocessing.plausibility import check_extent
from .preprocessing.preprocess import PREPARING_BYTES
from .preprocessing.voxel_mapping import MAPPING_BYTES
from .windows.axis_order import MODEL_ORDER, AxisOrder
from .windows.blend import BLOCK_PLANES, peak_blending_bytes
from .windows.plan import WindowPlan, plan_windows
from .windows.window_input import StreamedInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .engines import Engine
    from .request import SegmentationRequest

ROOMY_BYTES = 512 * 2**20  # float32 is used where the plan's predicted peak stays below this
REGION_BYTES = 5  # per voxel of a locator's grid: log odds in float32, and the mask
PADDING_BYTES = 9  # per voxel after padding: float32 before and after, and the body mask
_PLANES = 6  # planes of scan or model grid in memory at the same time while planes are read and resampled
SLACK = 1.03  # resident memory over the sum of the arrays (gaps in the heap): 0.4 to 2.3 % more were measured …
SLACK_BYTES = 16 * 2**20  # … and some megabytes where the sum is small


@dataclass(frozen=True)
class ExecutionPlan:
    """How one scan is segmented: what is held in memory, which windows, in which order.

    Attributes:
        streamed: whether the file is read as the windows move; otherwise the whole scan is prepared first.
        order: the order of the axes, outermost first.
        windows: the window plan, in that order of axes.
        dtype: number format of scores that wait for later windows, float32 or float16.
        bytes: predicted peak memory, in addition to what the process already holds.
        is_short: whether ``dtype`` is float16 because so little memory was free, where the same scan has float32 else.
    """

    streamed: bool
    order: AxisOrder
    windows: WindowPlan
    dtype: type[np.floating[Any]]
    bytes: int
    is_short: bool = False


@dataclass(frozen=True)
class ScanPlan:
    """The plans of the passes over one scan.

    Attributes:
        main: the plan of the student's windows.
        locating: the plan of the locator's windows, which run before; None without a locator.
        afterwards: bytes that the label map and what is written of it take, once the windows have run.
    """

    main: ExecutionPlan
    locating: ExecutionPlan | None = None
    afterwards: int = 0

    @property
    def is_short(self) -> bool:
        """Whether a pass has float16 because so little memory was free."""
        return self.main.is_short or (self.locating is not None and self.locating.is_short)

    @property
    def bytes(self) -> int:
        """Predicted peak memory, in bytes: of the largest of passes and results.

        The region that the locator finds is held during the main pass.
        """
        passes = self.main.bytes
        if self.locating is not None:
            passes = max(passes, self.locating.bytes) + REGION_BYTES * math.prod(self.locating.windows.shape)
        return max(passes, self.afterwards)


def choose_plan(
    request: SegmentationRequest, engine: Engine, memory_limit: int | None = None, reserved: int = 0
) -> ExecutionPlan:
    """Predicts the memory of every execution plan and chooses one.

    Chooses the float32 plan that needs least memory, if that is at most 512 MiB and available; otherwise the plan that
    needs least of all. So the same scan gets the same plan unless memory is short.

    Args:
        request: the scan, its task and the options.
        engine: the engine that will run the windows.
        memory_limit: bytes the process may hold in total; None for all free memory.
        reserved: bytes that the engine and other scans in this process will allocate.

    Raises:
        InputError: an axis of the scan is longer than 4000 mm.
        ResourceError: every plan needs more memory than the limit, or than is free.
    """
    budget = MemoryBudget.now(memory_limit, reserved)
    plan = best_plan(request, engine.parallel, budget.available)
    budget.check(plan.bytes)
    return plan


def best_plan(request: SegmentationRequest, parallel: int, available: int) -> ExecutionPlan:
    """Returns the plan that `choose_plan` chooses where so much memory is available; it may need more than that.

    Args:
        request: the scan, its task and the options; no voxel is read.
        parallel: number of windows that the engine runs at the same time.
        available: bytes that the scan may take.

    Raises:
        InputError: an axis of the scan is longer than 4000 mm.
    """
    check_extent(request.grid)  # before anything whose time and memory grow with the grid
    plans = [
        ExecutionPlan(streamed, order, windows, dtype, _peak_bytes(request, parallel, streamed, windows, dtype))
        for streamed, order in _orders(request)
        for windows in _window_plans(request, order)
        for dtype in (np.float32, np.float16)
    ]
    exact = min((plan for plan in plans if plan.dtype is np.float32), key=lambda plan: plan.bytes)
    if exact.bytes <= min(ROOMY_BYTES, available):
        return exact
    least = min(plans, key=lambda plan: plan.bytes)
    return replace(least, is_short=exact.bytes <= ROOMY_BYTES and least.dtype is np.float16)


def _orders(request: SegmentationRequest) -> Iterator[tuple[bool, AxisOrder]]:
    """Yields (streamed, order of the axes) that this scan allows."""
    if StreamedInput.suits(request):
        yield True, MODEL_ORDER
    yield False, AxisOrder.longest_outside(request.grid.shape.dhw)


def _window_plans(request: SegmentationRequest, order: AxisOrder) -> tuple[WindowPlan, WindowPlan]:
    shape, patch = order.sizes(request.grid.shape.dhw), order.sizes(request.task.patch.dhw)
    windows = plan_windows(shape, patch, request.overlap)
    return windows, replace(windows, last_two_together=True)


def _peak_bytes(
    request: SegmentationRequest,
    parallel: int,
    streamed: bool,
    windows: WindowPlan,
    dtype: type[np.floating[Any]],
) -> int:
    """Predicts the peak memory of one plan, in addition to what the process already holds."""
    scan, classes = request.scan, request.task.num_classes
    depth, height, width = scan.grid.shape.dhw
    voxels, padded = math.prod(scan.grid.shape), math.prod(windows.padded)
    source_plane = max(width * height, height * depth, depth * width)
    model_plane = windows.padded[1] * windows.padded[2]
    logits = 4 * (classes + 1) * (parallel + 1) * math.prod(windows.patch)  # in the engine, and one blended
    labels = voxels * np.dtype(label_dtype(classes)).itemsize
    restoring = 4 * classes * model_plane + 40 * source_plane + 32 * classes * min(source_plane, CHUNK_VOXELS)
    body = math.prod(request.grid.shape) // 8 if request.postprocessing.within_body else 0
    mapping = 0
    if scan.grid.is_sheared:
        block = (1 + BLOCK_PLANES) * (1 + windows.patch[1]) * windows.padded[2]
        mapping = MAPPING_BYTES + SEARCH_BYTES * block
    running = body + labels + restoring + mapping + logits + peak_blending_bytes(windows, classes, dtype)
    if streamed:
        buffer = 4 * (windows.deepest + MARGIN_VOXELS) * model_plane
        return _with_slack(running + buffer + _PLANES * 4 * max(source_plane, model_plane))
    preparing = scan.loading_bytes + PREPARING_BYTES * padded + mapping
    padding = PADDING_BYTES * padded + body if windows.is_padded else 0
    return _with_slack(max(preparing, padding, running + 4 * padded))


def _with_slack(arrays: int) -> int:
    return int(SLACK * arrays) + SLACK_BYTES
