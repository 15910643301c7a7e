"""The sources of windows: a prepared volume in memory, or a file streamed as the windows move."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import InputError
from ..preprocessing.body import MARGIN_VOXELS, plane_mask
from ..preprocessing.plausibility import check_magnitude, check_scan, no_tissue_warning
from ..preprocessing.preprocess import ModelInput, Normaliser
from ..preprocessing.resample import align, plane_reorienter, resample_planes
from .body_windows import BodyWindows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ..preprocessing.body_mask import BodyMask
    from ..request import SegmentationRequest
    from ..scans.geometry import Grid
    from ..scans.scan import Scan
    from ..stopwatch import Stopwatch
    from .axis_order import AxisOrder
    from .plan import PlanTriple, WindowPlan


class WindowInput(Protocol):
    """A source of windows; the caller asks for them in the order of the plan."""

    def prepare(self, layers: tuple[int, ...]) -> None:
        """Prepares the planes that the windows of some layers cover, and drops the planes before them."""
        ...

    def window(self, start: PlanTriple) -> NDArray[np.float32]:
        """Returns the normalised window at ``start``, in the plan's axis order; valid until the next `prepare`."""
        ...

    def has_body(self, start: PlanTriple) -> bool:
        """Whether the window at ``start`` holds body."""
        ...

    @property
    def found_body(self) -> bool:
        """Whether any plane prepared so far holds body."""
        ...

    def finish(self) -> tuple[str, ...]:
        """Runs the checks that need the whole scan, and returns its warnings."""
        ...


class InMemoryInput:
    """Cuts windows from a scan that was prepared as a whole.

    Args:
        prepared: the normalised scan on the task's grid.
        plan: the window plan, in the axis order ``order``.
        order: the order in which windows run along the axes.
        air: normalised value of air; pads a scan smaller than the window.
    """

    def __init__(self, prepared: ModelInput, plan: WindowPlan, order: AxisOrder, air: float) -> None:
        self._plan = plan
        self._array = plan.pad(order.turned(prepared.array), air)
        self._body = BodyWindows(plan)
        for plane, body in enumerate(order.turned(prepared.body)):
            self._body.add(plane, body)
        self._warnings = prepared.warnings

    def prepare(self, layers: tuple[int, ...]) -> None:
        """Does nothing: the whole scan is in memory."""

    def window(self, start: PlanTriple) -> NDArray[Any]:
        """Returns the window at ``start``; see `WindowInput.window`."""
        return self._array[self._plan.window(start)]

    def has_body(self, start: PlanTriple) -> bool:
        """Whether the window at ``start`` holds body."""
        return self._body.has_body(start)

    @property
    def found_body(self) -> bool:
        """True: where no voxel is tissue, preprocessing counts the whole scan as body."""
        return self._body.any

    def finish(self) -> tuple[str, ...]:
        """Returns the warnings from preprocessing."""
        return self._warnings


class StreamedInput:
    """Cuts windows from a scan that is read, resampled and normalised as the windows move along z.

    This needs a file whose slowest axis is the model's z in the same direction, and a task with absolute intensities:
    then no plane depends on later ones, except on the two by which the body is grown. Values and body are the same as
    from `to_model_input`.

    Args:
        request: the scan to read, and the task that defines the normalisation.
        plan: the window plan.
        stopwatch: reading counts as stage ``read``.
        body: mask that collects the body of each plane, not grown along z; None to collect none.
    """

    def __init__(
        self, request: SegmentationRequest, plan: WindowPlan, stopwatch: Stopwatch, body: BodyMask | None = None
    ) -> None:
        task = request.task
        self._whole_body = body
        self._scan, self._task, self._plan = request.scan, task, plan
        self._normalise = Normaliser.fixed(task.intensity)
        self._threshold = task.foreground.above
        self._coming = _model_planes(request.scan, request.grid, stopwatch)
        shape = (plan.deepest + MARGIN_VOXELS, *plan.padded[1:])
        self._values = np.full(shape, task.intensity.air, np.float32)
        self._body = BodyWindows(plan, MARGIN_VOXELS)
        self._first = 0  # plane of the padded volume at index 0 of the buffer
        self._loaded = 0  # first plane that was not loaded yet

    @staticmethod
    def suits(request: SegmentationRequest) -> bool:
        """Whether a scan can be streamed: not sheared, its slowest axis is the model's z, absolute intensities."""
        if request.scan.grid.is_sheared:  # a plane of the straight grid crosses many planes of the scan
            return False
        along_z = align(request.scan.grid, request.grid)[2]
        absolute = not (request.task.foreground.relative or request.task.intensity.clip_percentiles)
        return absolute and along_z.source_axis == 2 and not along_z.flipped

    def prepare(self, layers: tuple[int, ...]) -> None:
        """Reads up to the end of the last layer and drops the planes before the first; see `WindowInput.prepare`."""
        z = self._plan.axes[0]
        self._forget(z[layers[0]])
        until = min(z[layers[-1]] + self._plan.patch[0] + MARGIN_VOXELS, self._plan.padded[0])
        for plane in range(self._loaded, until):
            self._load(plane)

    def window(self, start: PlanTriple) -> NDArray[Any]:
        """Returns the window at ``start``; see `WindowInput.window`."""
        z, y, x = self._plan.window((start[0] - self._first, start[1], start[2]))
        return self._values[z, y, x]

    def has_body(self, start: PlanTriple) -> bool:
        """Whether the window at ``start`` holds body, grown along z like `body_mask` does."""
        return self._body.has_body(start)

    @property
    def found_body(self) -> bool:
        """Whether any plane read so far holds body."""
        return self._body.any

    def finish(self) -> tuple[str, ...]:
        """Reads to the end, which verifies the file, and checks the values; see `WindowInput.finish`.

        Raises:
            InputError: the file is damaged, or its values are not those of an image.
        """
        for _ in self._coming:
            raise InputError("expected the scan to end with its grid, got more planes")
        scan = self._scan
        warnings = check_scan(scan.sample, scan.low, scan.high, scan.grid, self._task)
        empty = () if self.found_body else (no_tissue_warning(self._threshold),)
        return (*scan.warnings, *warnings, *empty)

    def _forget(self, first: int) -> None:
        planes = first - self._first
        if planes <= 0:
            return
        kept = max(0, len(self._values) - planes)
        for plane in range(kept):  # one by one: NumPy copies overlapping arrays before it moves them
            self._values[plane] = self._values[plane + planes]
        self._values[kept:] = self._task.intensity.air
        self._first = first

    def _load(self, plane: int) -> None:
        self._loaded = plane + 1
        before, (depth, height, width) = self._plan.pad_before, self._plan.shape
        if not 0 <= plane - before[0] < depth:
            return  # padding: the buffer holds air already
        raw = next(self._coming)
        mask = plane_mask(raw, self._threshold)
        self._body.add(plane - before[0], mask)
        if self._whole_body is not None:
            self._whole_body.add(mask)
        values = self._values[plane - self._first, before[1] : before[1] + height, before[2] : before[2] + width]
        values[...] = raw
        self._normalise(values)


def _model_planes(scan: Scan, grid: Grid, stopwatch: Stopwatch) -> Iterator[NDArray[np.float32]]:
    x, y, z = align(scan.grid, grid)
    maps = (z, y, x)
    turn = plane_reorienter(maps)
    depth, height, width = scan.grid.shape.dhw
    turned_shape = (width, height) if y.source_axis == 0 else (height, width)
    planes = (turn(plane) for plane in stopwatch.timed("read", _of_magnitude(scan)))
    return resample_planes(planes, (depth, *turned_shape), maps)


def _of_magnitude(scan: Scan) -> Iterator[NDArray[Any]]:
    """Yields a scan's planes, and refuses the first that float32 arithmetic would overflow with."""
    for plane in scan.planes():
        check_magnitude(scan.low, scan.high)
        yield plane
