"""A bundle's networks, opened on this machine: the student's engine, and the locator."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from .engine_selection.engine_choice import EngineChoice, Opened, open_choice, open_for_bundle
from .engines import Engine, closed_on_error
from .errors import ResourceError
from .execution_plan import ScanPlan, best_plan
from .labels.best_class import label_dtype
from .locator import Locator
from .memory.memory_limit import MemoryBudget
from .memory.reservations import reservations
from .scans.nifti import check_size

if TYPE_CHECKING:
    from .bundles.bundle import Bundle
    from .engine_selection.engine_request import EngineRequest
    from .request import SegmentationRequest


@dataclass(frozen=True)
class _FurtherMemory:
    """Memory for a scan beside its plan.

    Attributes:
        bytes: how much.
    """

    bytes: int


@dataclass(frozen=True, eq=False)
class OpenedModel:
    """The engines that segment scans, and the memory they may use.

    Attributes:
        engine: the engine that runs the student.
        choice: engine, precision and streams of it, and the reason for choosing them.
        memory_limit: bytes the process may hold; None for all free memory.
        locator: the bundle's locator; None where it has none.
    """

    engine: Engine
    choice: EngineChoice
    memory_limit: int | None = None
    locator: Locator | None = None

    @classmethod
    def open(cls, bundle: Bundle, asked: EngineRequest) -> OpenedModel:
        """Opens a bundle's networks as requested; errors are those of `Segmenter.load`."""
        return cls._opened(bundle, lambda: open_for_bundle(bundle, asked), asked.memory_limit, asked.self_test)

    @classmethod
    def chosen(cls, bundle: Bundle, choice: EngineChoice, memory_limit: int | None) -> OpenedModel:
        """Opens a bundle's networks as they were chosen before on this machine.

        Args:
            bundle: the bundle that the choice was made for.
            choice: the choice for the student's engine.
            memory_limit: bytes the process may hold; None for all free memory.

        Raises:
            BedsideError: as `open_choice` and `Locator.open`.
        """
        return cls._opened(bundle, lambda: open_choice(bundle, choice), memory_limit)

    @classmethod
    def _opened(
        cls, bundle: Bundle, student: Callable[[], Opened], memory_limit: int | None, self_test: bool = True
    ) -> OpenedModel:
        try:
            opened = student()
            with closed_on_error(opened.engine):
                locator = Locator.open(bundle, opened.choice.threads, self_test)
        except MemoryError:
            raise ResourceError("memory ran out while the model was opened; free memory or choose int8") from None
        return cls(opened.engine, opened.choice, memory_limit, locator)

    def plan(
        self, request: SegmentationRequest, locator: Locator | None, reserved: int, afterwards: int = 0
    ) -> ScanPlan:
        """Chooses how a scan is segmented, within the memory that is left.

        Args:
            request: the scan, its task and the options.
            locator: the locator to use; None for all windows.
            reserved: bytes that other scans in this process will allocate.
            afterwards: bytes that the caller takes beside the label map, once the scan is segmented.

        Raises:
            InputError: the label map would be larger than a file can hold, or an axis is longer than 4000 mm.
            ResourceError: every plan, or what is taken afterwards, needs more memory than the limit, or than is free,
                or the search for a plan does.
        """
        check_size(request.scan.grid.shape, label_dtype(request.task.num_classes))
        budget = MemoryBudget.now(self.memory_limit, reserved + self.unallocated_bytes)
        try:
            main = best_plan(request, self.engine.parallel, budget.available)
            locating = None if locator is None else locator.best_plan(request, budget.available)
        except MemoryError:
            raise ResourceError("memory ran out while the scan was planned; free memory or crop the scan") from None
        plan = ScanPlan(main, locating, request.label_bytes + afterwards)
        budget.check(plan.bytes)  # of all at once, so that a limit that the message advises is enough for all
        return plan

    def holding(self, needed: int, what: str, advice: str) -> AbstractContextManager[object]:
        """Reserves memory for the ``with`` block, beside the plans of scans.

        Args:
            needed: bytes; none are reserved below 1.
            what: what needs the memory, for the message.
            advice: what the user can do beside freeing memory or raising the limit.

        Raises:
            ResourceError: they are above the limit, or not free.
        """
        if needed <= 0:
            return nullcontext()

        def choose(reserved: int) -> _FurtherMemory:
            MemoryBudget.now(self.memory_limit, reserved + self.unallocated_bytes).check(needed, what, advice)
            return _FurtherMemory(needed)

        return reservations().reserve(choose)

    def close(self) -> None:
        """Closes the engines; may be called twice."""
        self.engine.close()
        if self.locator is not None:
            self.locator.close()

    def released(self) -> OpenedModel:
        """Closes the engines, which another process has opened and run, so that nothing is left to allocate.

        Returns:
            What plans scans for that process.
        """
        self.close()
        return replace(self, choice=msgspec.structs.replace(self.choice, workspace_bytes=0))

    @property
    def unallocated_bytes(self) -> int:
        """Bytes that the engine will allocate on its first run; 0 once it has run."""
        return 0 if self.engine.has_run else self.choice.workspace_bytes
