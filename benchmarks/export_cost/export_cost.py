"""Measures what the export of a student costs: processor seconds and peak memory of each step. Linux only."""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from bedside.distill import build_student
from bedside.export import ExportOptions, TrainedStudent, export_bundle
from bedside.runtime import XYZ, load_task


def main() -> None:
    """Prints a Markdown table: processor seconds of each step (user and system, all threads) and its peak memory.

    The student has random weights: what its export costs depends on its graph. No gate case runs.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--student", default="swinunetr-tiny")
    parser.add_argument("--task", default="btcv", help="preset or TOML file")
    parser.add_argument("--patch", type=int, nargs=3, default=(96, 96, 96), help="x y z, voxels")
    parser.add_argument("--precision", default="fp32", help="such as fp32,int8; int8 needs --calibration")
    parser.add_argument("--calibration", type=Path, help="data set; without one, patches are noise")
    parser.add_argument("--threads", type=int, help="CPU threads; all of them without")
    options = parser.parse_args()
    print(cost(options))


def cost(options: argparse.Namespace) -> str:
    """Exports the student that the options name, and returns the table."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    task = load_task(options.task).replaced(patch=XYZ(*options.patch))
    student = TrainedStudent(
        model=build_student(options.student, num_classes=task.num_classes), task=task, student=options.student
    )
    steps = Steps()
    with tempfile.TemporaryDirectory() as folder:
        export_bundle(
            student,
            Path(folder, "student.bedside"),
            ExportOptions(
                dataset=options.calibration,
                gate_cases=0,
                precisions=options.precision.split(","),
                int8_search=0,
                threads=options.threads,
            ),
            steps,
        )
    return steps.table()


@dataclass
class Steps:
    """Notes the processor's seconds and the peak memory of each step of an export.

    Attributes:
        costs: note of a step → its seconds, and the peak of the process's physical memory in it, in GB.
    """

    costs: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    _done: int = -1
    _step: str = ""
    _begun: float = 0.0

    def __call__(self, done: int, total: int, note: str) -> None:
        """Ends a step and begins the next; a remark within a step begins none."""
        if done == self._done:
            return
        now = time.process_time()
        if self._step:
            self.costs[self._step] = (now - self._begun, peak_gb())
        self._done, self._step, self._begun = done, note, now
        forget_peak()

    def table(self) -> str:
        """Returns a row for each step, and one for all."""
        rows = ["| step | processor, s | peak memory, GB |", "| -- | -- | -- |"]
        costs = {
            **self.costs,
            "all": (sum(s for s, _ in self.costs.values()), max(gb for _, gb in self.costs.values())),
        }
        rows += [f"| {note} | {seconds:.1f} | {gb:.2f} |" for note, (seconds, gb) in costs.items()]
        return "\n".join(rows)


def peak_gb() -> float:
    """Returns the most physical memory that the process has held since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    (kib,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kib) * 1024 / 1e9


def forget_peak() -> None:
    """Makes the kernel count the peak from now on."""
    Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    main()
