"""Counts the windows that a bundle's locator leaves to students of several spacings and windows; no student runs.

python benchmarks/locator/count_windows.py LOCATED SCAN [--step-mm 1 1.5 2]

The scan is lengthened as for `locator.py`; each distance of planes gives a longer one.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from itertools import product
from pathlib import Path

from bedside.runtime import Bundle, read_volume
from bedside.runtime.hooks import Hooks
from bedside.runtime.locator import Locator
from bedside.runtime.request import SegmentationRequest
from bedside.runtime.scans.open_scan import open_scan
from bedside.runtime.task import Task
from bedside.runtime.windows.axis_order import MODEL_ORDER
from bedside.runtime.windows.organ_region import OrganRegion
from bedside.runtime.windows.plan import plan_windows
from long_scan import lengthened

SPACINGS = ((1.5, 1.5, 2.0), (2.5, 2.5, 2.5))
EDGES = (64, 96)  # voxels of a window
OVERLAP = 0.25


def counted(region: OrganRegion, request: SegmentationRequest, task: Task) -> tuple[int, int]:
    """Returns the number of a task's windows over a scan, and of those that hold part of the region with organs."""
    grid = task.grid_over(request.scan.grid)
    plan = plan_windows(grid.shape.dhw, task.patch.dhw, OVERLAP)
    organs = region.windows(plan, MODEL_ORDER, grid)
    return len(plan), sum(organs.has_organ(start) for start in plan.starts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("located", type=Path, help="bundle with a locator")
    parser.add_argument("scan", type=Path, help="scan to lengthen")
    parser.add_argument("--planes", type=int, default=824)
    parser.add_argument("--step-mm", type=float, nargs="+", default=(1.0, 1.5, 2.0), help="distances of these planes")
    given = parser.parse_args()
    with Bundle.open(given.located) as bundle:
        locator = Locator.open(bundle, threads=1)
        if locator is None:
            raise SystemExit(f"{given.located.name} has no locator; export it with --locator")
        with closing(locator):
            for step in given.step_mm:
                scan = open_scan(lengthened(read_volume(given.scan), given.planes, step))
                request = SegmentationRequest(scan, bundle.task, OVERLAP)
                region = locator.find(request, locator.plan(request), Hooks())
                found = int(region.mask.any((1, 2)).sum()) * region.grid.spacing[2]
                print(f"planes {step:g} mm apart: organs in {found:g} of {given.planes * step:g} mm along z")
                for spacing, edge in product(SPACINGS, EDGES):
                    task = bundle.task.replaced(spacing=spacing, patch=(edge, edge, edge))
                    windows, fewer = counted(region, request, task)
                    size = "×".join(f"{each:g}" for each in spacing)
                    times = windows / max(fewer, 1)
                    print(f"| {step:g} mm | {size} mm | {edge}³ | {windows} | {fewer} | {times:.1f} |")


if __name__ == "__main__":
    main()
