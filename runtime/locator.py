"""The locator of a bundle, opened on this machine: finds in one coarse pass where a scan holds the task's organs."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .bundles.variant import Variant
from .engine_selection.self_test import GoldenTest, warm_up
from .engines import closed_on_error, open_engine
from .errors import BundleError
from .execution_plan import best_plan, choose_plan
from .hooks import STAGES, Hooks
from .labels.postprocess import Postprocessing
from .preprocessing.plausibility import geometry_warnings
from .scan_pass import PassResult, ScanPass
from .stopwatch import Stopwatch
from .windows.organ_region import OrganOdds, OrganRegion

if TYPE_CHECKING:
    from .bundles.bundle import Bundle
    from .bundles.locator_entry import LocatorEntry
    from .engines import Engine
    from .execution_plan import ExecutionPlan
    from .request import SegmentationRequest
    from .task import Task

ENGINE = "onnxruntime"  # part of the plain install, and opens a small network in some milliseconds
OVERLAP = 0.25  # of the locator's windows; most scans take one to four of them
_NOT_FINITE = "the locator returned NaN or infinity, so all windows were run"

_log = logging.getLogger("bedside.locator")


class Locator:
    """Finds the region of a scan that holds organs; safe to share between threads.

    Args:
        entry: the manifest's entry.
        task: the bundle's task.
        engine: the engine that runs the locator's network; `close` closes it.
    """

    def __init__(self, entry: LocatorEntry, task: Task, engine: Engine) -> None:
        self.entry, self.engine = entry, engine
        self.task = entry.task(task)

    @classmethod
    def open(cls, bundle: Bundle, threads: int | None = None, self_test: bool = True) -> Locator | None:
        """Opens a bundle's locator and checks it on its golden patch; None where the bundle has none.

        Args:
            bundle: the bundle.
            threads: number of CPU threads; None for all.
            self_test: whether to compare with the golden patch.

        Raises:
            BundleError: the network cannot be read, has another window or other outputs, or fails the self-test.
            ResourceError: there is no memory for it.
        """
        entry = bundle.manifest.locator
        if entry is None:
            return None
        variant = Variant(precision="fp32", engine=ENGINE, file=entry.file)
        task = entry.task(bundle.task)
        with closed_on_error(open_engine(ENGINE, bundle.model(variant), threads=threads)) as engine:
            if engine.patch_dhw != task.patch.dhw or engine.num_classes != task.num_classes:
                raise BundleError(
                    f"{entry.file}: window {engine.patch_dhw} and {engine.num_classes} classes are not the locator's "
                    f"{task.patch.dhw} and {task.num_classes}; export the bundle again"
                )
            if self_test:
                golden = GoldenTest.read(bundle, entry.golden, task)
                golden.check(golden.run(engine)[0], engine, variant)
            else:
                warm_up(engine)
        return cls(entry, bundle.task, engine)

    def close(self) -> None:
        """Closes the engine; may be called twice."""
        self.engine.close()

    def plan(self, request: SegmentationRequest) -> ExecutionPlan:
        """Chooses the execution plan of the coarse pass; see `choose_plan`.

        Args:
            request: the request of the student's pass over the same scan, here and in the other methods.

        Raises:
            ResourceError: every plan needs more memory than is free.
        """
        return choose_plan(self._coarse(request), self.engine)

    def best_plan(self, request: SegmentationRequest, available: int) -> ExecutionPlan:
        """Returns the best execution plan of the coarse pass where so many bytes are available; it may need more."""
        return best_plan(self._coarse(request), self.engine.parallel, available)

    def search(self, request: SegmentationRequest, plan: ExecutionPlan, hooks: Hooks) -> PassResult[OrganOdds]:
        """Runs the coarse pass.

        Args:
            request: as in `plan`.
            plan: what `plan` or `best_plan` returned.
            hooks: progress counts the locator's windows; all time is added to the stage ``locate``.

        Raises:
            InputError: the scan is refused.
            ResourceError: the engine failed, or memory ran out.
            Cancelled: ``cancel()`` returned true.
        """
        coarse = self._coarse(request)
        with hooks.stopwatch.stage("locate"):
            own = replace(hooks, stopwatch=Stopwatch(STAGES))  # its stages are parts of this one
            return ScanPass(self.engine, coarse, plan, own).run(lambda: OrganOdds(coarse.grid, plan.order))

    def find(self, request: SegmentationRequest, plan: ExecutionPlan, hooks: Hooks) -> OrganRegion:
        """Runs the coarse pass and returns the region that holds organs; see `search`.

        Where the network returns NaN or infinity, that is everywhere, with a warning.
        """
        result = self.search(request, plan, hooks)
        grid = result.received.grid
        if result.run.not_finite:
            return OrganRegion(np.ones(grid.shape.dhw, np.bool_), grid, self.entry.margin_mm, (_NOT_FINITE,))
        mask = result.received.mask(self.entry.threshold)
        _log.debug("%r: organs in %.1f %% of the voxels, before the region is grown", grid, 100 * mask.mean())
        of_coarse_grid = geometry_warnings(request.scan.grid, self.task)  # which no person needs to know of
        warnings = tuple(warning for warning in result.warnings if warning not in of_coarse_grid)
        return OrganRegion(mask, grid, self.entry.margin_mm, warnings)

    def _coarse(self, request: SegmentationRequest) -> SegmentationRequest:
        return replace(request, task=self.task, overlap=OVERLAP, postprocessing=Postprocessing())
