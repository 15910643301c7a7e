"""The memory that opening an engine and running windows takes, measured in fresh processes and predicted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
from bedside.devices.planner.costs import model_cost
from bedside.devices.planner.engine_memory import engine_memory
from bedside.devices.planner.planned_model import PlannedVariant
from bedside.devices.probe.probe import SeriesSetting
from models import CLASSES, EDGES, model_file


class Memory(msgspec.Struct, frozen=True):
    """The memory that opening an engine and running windows took, and the predicted, in bytes."""

    engine: str
    precision: str
    student: str
    edge: int
    measured: int
    predicted: float


def measured_memory(path: Path, setting: SeriesSetting, edge: int) -> int:
    """Returns by how many bytes the peak of a fresh process rises when it opens a model and runs three windows.

    It has run another, tiny model before, so that the engine's own libraries are loaded. An engine may take more for a
    second window than for the first.
    """
    code = (
        "import sys, numpy as np; from pathlib import Path; from bedside.runtime.engines import *\n"
        "from bedside.devices.probe.kernels import Kernel\n"
        "from bedside.devices.probe.networks import kernel_network\n"
        "engine, precision, file, edge = sys.argv[1:]; edge = int(edge)\n"
        "tiny = kernel_network(Kernel('conv', 8, 8, 16), 1); patch = np.ones((1, 1, edge, edge, edge), np.float32)\n"
        "with open_engine(engine, tiny, threads=1, precision=precision) as opened:\n"
        "    opened.infer(patch[:, :, :16, :16, :16].copy())\n"
        "read = lambda key: int(next(l for l in open('/proc/self/status') if l.startswith(key)).split()[1]) * 1024\n"
        "before = read('VmRSS')\n"
        "with open_engine(engine, Path(file), threads=1, precision=precision) as opened:\n"
        "    for _ in range(3): opened.infer(patch)\n"
        "print(read('VmHWM') - before)"
    )
    words = [sys.executable, "-c", code, setting.engine, setting.precision, str(path), str(edge)]
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def missing_memory(
    folder: Path, students: Sequence[str], known: Sequence[Memory], settings: Sequence[SeriesSetting]
) -> Iterator[Memory]:
    """Measures the memory of every student and setting that is not known yet."""
    done = {(each.engine, each.precision, each.student, each.edge) for each in known}
    for setting in settings:
        for student in students:
            for edge in EDGES:
                if (setting.engine, setting.precision, student, edge) in done:
                    continue
                path = model_file(folder, student, edge, setting.precision)
                variant = PlannedVariant(model_cost(path.read_bytes()), path.stat().st_size)
                logits = 4 * CLASSES * edge**3  # which the plan counts to the scan's memory
                predicted = engine_memory(variant, setting.engine, setting.precision).predicted + logits
                measured = measured_memory(path, setting, edge)
                yield Memory(setting.engine, setting.precision, student, edge, measured, predicted)


def memory_table(rows: Sequence[Memory]) -> list[str]:
    """Returns a table in Markdown: the errors of each engine and precision."""
    lines = ["| engine | models | median error | worst | predicted / measured |", "| -- " * 5 + "|"]
    for group in dict.fromkeys((each.engine, each.precision) for each in rows):
        ratios = [each.predicted / each.measured for each in rows if (each.engine, each.precision) == group]
        errors = [abs(ratio - 1) for ratio in ratios]
        lines.append(
            f"| {' '.join(group)} | {len(ratios)} | {np.median(errors):.0%} | {max(errors):.0%} | "
            f"{min(ratios):.2f} … {max(ratios):.2f} |"
        )
    return lines
