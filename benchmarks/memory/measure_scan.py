"""Segments one scan in this process and reads its memory from the kernel. Run by memory.py: JSON in, JSON out."""

from __future__ import annotations

import gc
import json
import sys
import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bedside.runtime import Segmenter
from bedside.runtime.engine_selection.self_test import warm_up
from bedside.runtime.errors import ResourceError
from bedside.runtime.execution_plan import ExecutionPlan, choose_plan
from bedside.runtime.memory.resident import peak_resident_bytes, resident_bytes
from bedside.runtime.request import SegmentationRequest
from bedside.runtime.scans.open_scan import open_scan

STEP = 2**20  # bytes; limits are tried in these steps
MOST_STEPS = 2**16
_PROCESS = Path("/proc/self")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case to measure.

    Attributes:
        bundle: the bundle.
        scan: the scan's file; None only loads the bundle, so that later processes find the choice of engine cached.
        tight: run under the smallest memory limit that is accepted, instead of none.
        engine: row of the engine table, or "auto".
        precision: precision of the variant, or "auto".
        threads: CPU threads; None for all.
    """

    bundle: str
    scan: str | None
    tight: bool
    engine: str
    precision: str
    threads: int | None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The figures of a case; sizes in bytes.

    Attributes:
        engine: engine, precision and streams.
        plan: description of the execution plan.
        predicted: predicted peak of that plan above the loaded engine.
        above_engine: the peak above the loaded engine, which had run one window before.
        process: the peak of the whole process since its start.
        run: the peak of the whole process while it segmented.
        limit: memory limit; None without.
        voxels: number of voxels of the scan on the task's grid.
        classes: number of classes of the task.
        windows: number of windows in total.
        seconds: duration of the segmentation.
    """

    engine: str
    plan: str
    predicted: int
    above_engine: int
    process: int
    run: int
    limit: int | None
    voxels: int
    classes: int
    windows: int
    seconds: float


def measured(case: Case, scan: Path, loaded: Segmenter) -> Measured:
    """Segments a scan with a loaded bundle."""
    warm_up(loaded.engine)
    request = SegmentationRequest(open_scan(scan), loaded.task, loaded.bundle.manifest.recommended_overlap)
    grid = request.grid

    def plan_under(limit: int | None) -> ExecutionPlan:
        return choose_plan(request, loaded.engine, limit)

    limit = least_limit(plan_under) if case.tight else None
    chosen = plan_under(limit)
    gc.collect()
    process, held = peak_resident_bytes(), resident_bytes()
    forget_high_water()
    begun = time.perf_counter()
    limit = segment(loaded, scan, limit)
    seconds = time.perf_counter() - begun
    run = peak_resident_bytes()
    return Measured(
        engine=str(loaded.choice.setting),
        plan=described(chosen),
        predicted=chosen.bytes,
        above_engine=run - held,
        process=max(process, run),
        run=run,
        limit=limit,
        voxels=grid.shape[0] * grid.shape[1] * grid.shape[2],
        classes=loaded.task.num_classes,
        windows=len(chosen.windows),
        seconds=seconds,
    )


def least_limit(plan_under: Callable[[int], object]) -> int:
    """Returns the smallest limit in bytes, in whole steps, under which an execution plan is found; nothing is run."""

    def accepted(steps: int) -> bool:
        try:
            plan_under(steps * STEP)
        except ResourceError:
            return False
        return True

    return bisect_left(range(MOST_STEPS), True, key=accepted) * STEP


def segment(loaded: Segmenter, scan: Path, limit: int | None) -> int | None:
    """Segments under a limit and returns it.

    The process may have come to hold some pages more since the limit was found: then the scan is refused before it is
    read, and one step more is given, once.
    """
    try:
        Segmenter(loaded.bundle, replace(loaded.model, memory_limit=limit)).segment(scan)
    except ResourceError:
        if limit is None:
            raise
        limit += STEP
        Segmenter(loaded.bundle, replace(loaded.model, memory_limit=limit)).segment(scan)
    return limit


def described(chosen: ExecutionPlan) -> str:
    axes = "".join("zyx"[axis] for axis in chosen.order.axes)
    together = ", last two layers together" if chosen.windows.last_two_together else ""
    return f"{'streamed' if chosen.streamed else 'whole'}, {axes}, {chosen.dtype.__name__}{together}"


def forget_high_water() -> None:
    """Resets the mark of `peak_resident_bytes` to the memory that the process holds now."""
    (_PROCESS / "clear_refs").write_text("5", encoding="ascii")


def main() -> None:
    case = Case(**json.load(sys.stdin))
    with Segmenter.load(case.bundle, engine=case.engine, precision=case.precision, threads=case.threads) as loaded:
        if case.scan is not None:
            print(json.dumps(asdict(measured(case, Path(case.scan), loaded))))


if __name__ == "__main__":
    main()
