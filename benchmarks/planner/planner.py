"""Prints what the planner predicts from data sheets beside what was published, as a table.

    python benchmarks/planner/planner.py

The network is MLPerf's 3D U-Net in int8, with its norms in float16, on windows of 128³ with an overlap of 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass

from bedside.devices import load_profile
from bedside.devices.planner.costs import ModelCost, model_cost
from bedside.devices.planner.roofline import Interval, OperatingPoint, Roofline
from bedside.runtime.axes import XYZ
from bedside.runtime.scans.planned_scan import PlannedScan
from bedside.runtime.windows.plan import plan_windows
from mlperf_unet import PATCH, mlperf_unet

OVERLAP = 0.5
GRID = (1.2, 1.2, 1.6)  # mm along x, y and z, of MLPerf's preprocessing
SCAN = PlannedScan(XYZ(512, 512, 107), (0.78, 0.78, 3.0))  # the median scan of KiTS19, where MLPerf has a mean over 43
PUBLISHED = {"agx-orin-64": 1.96, "orin-nx-16": 5.08}  # s, mean of a case, network only


@dataclass(frozen=True)
class Comparison:
    """A published time of a scan and the predicted one, in s."""

    device: str
    published: float
    predicted: Interval

    @property
    def covered(self) -> bool:
        """Whether the predicted interval holds the published time."""
        return self.predicted.low <= self.published <= self.predicted.high


def windows() -> int:
    """Returns the windows of the scan."""
    shape = SCAN.grid.to_task_grid("RAS", GRID).shape.dhw
    return len(plan_windows(shape, (PATCH, PATCH, PATCH), OVERLAP))


def compared(cost: ModelCost) -> list[Comparison]:
    """Returns every published time with its prediction."""
    return [Comparison(device, seconds, _predicted(device, cost)) for device, seconds in PUBLISHED.items()]


def _predicted(device: str, cost: ModelCost) -> Interval:
    profile = load_profile(device)
    line = OperatingPoint(None).roofline(profile, profile.processors[0], "int8-fp16")
    if not isinstance(line, Roofline):
        raise TypeError(f"{device}: {line}")
    return line.window_seconds(cost).scaled(windows())


def main() -> None:
    cost = model_cost(mlperf_unet()).quantized()
    print(f"{cost.flops / 1e9:.0f} GFLOP and {cost.parameters / 1e6:.1f} M parameters; {windows()} windows a scan\n")
    print("| device | published s | predicted s | interval | predicted / published | in the interval |")
    print("| -- | -- | -- | -- | -- | -- |")
    rows = compared(cost)
    for row in rows:
        low, predicted, high = row.predicted.low, row.predicted.predicted, row.predicted.high
        ratio = predicted / row.published
        print(
            f"| {row.device} | {row.published:.2f} | {predicted:.2f} | {low:.2f} … {high:.2f} | {ratio:.2f} | "
            f"{'yes' if row.covered else 'no'} |"
        )
    first, second = rows
    print(
        f"\n{second.device} over {first.device}: published {second.published / first.published:.2f}, "
        f"predicted {second.predicted.predicted / first.predicted.predicted:.2f}"
    )


if __name__ == "__main__":
    main()
