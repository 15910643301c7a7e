"""Compares what the planner predicts from a probe with what was measured, on students that the probe has never seen.

    python benchmarks/planner/probed.py --out FOLDER

For each limit of processors, engine, precision and number of threads, the probe's kernels are timed, then at once the
students' windows, under the same limits. Called again, it goes on where it stopped; ``results.json`` has every figure.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from bedside.devices.planner.costs import ModelCost, model_cost
from bedside.devices.planner.planned_model import PlannedVariant
from bedside.devices.planner.prediction import engine_memory
from bedside.devices.planner.probed import ProbedSpeed
from bedside.devices.planner.roofline import Interval
from bedside.devices.probe.probe import ClockName, SeriesSetting, clock_of, time_series
from bedside.devices.probe.results import Series
from bedside.runtime.engines import open_engine

STUDENTS = ("unet-edge-base", "unet-nano", "unet-edge-fullres-small", "unet-edge-residual", "unet-edge-small")
EDGES = (64, 96)
CALLS = 4
CLASSES = 14
PROBE_SECONDS = 10.0  # of one series


class Measured(msgspec.Struct, frozen=True):
    """A measured time of a window, in s."""

    cores: int
    engine: str
    precision: str
    threads: int
    student: str
    edge: int
    seconds: float

    @property
    def key(self) -> str:
        """Names the series of kernels that was timed under the same limits."""
        return f"{self.cores} {self.engine} {self.precision} {self.threads}"


class Compared(msgspec.Struct, frozen=True):
    """A measured time and the predicted one, in s."""

    measured: Measured
    predicted: Interval

    @property
    def error(self) -> float:
        """How far the prediction is off, as a share of the measured time."""
        return abs(self.ratio - 1)

    @property
    def ratio(self) -> float:
        """The predicted time over the measured one."""
        return self.predicted.predicted / self.measured.seconds

    @property
    def covered(self) -> bool:
        """Whether the interval holds the measured time."""
        return self.predicted.low <= self.measured.seconds <= self.predicted.high


class Memory(msgspec.Struct, frozen=True):
    """The memory that opening an engine and running a window took, and the predicted, in bytes."""

    engine: str
    precision: str
    student: str
    edge: int
    measured: int
    predicted: float


class Figures(msgspec.Struct):
    """Everything measured so far."""

    clock: ClockName
    results: list[Measured] = []
    series: dict[str, Series] = {}
    memory: list[Memory] = []


def model_file(folder: Path, student: str, edge: int, precision: str) -> Path:
    """Returns a student's ONNX with fresh weights; makes it where it is not there yet."""
    path = folder / f"{student}.{edge}.{'int8' if precision == 'int8' else 'fp32'}.onnx"
    if not path.exists():
        import torch
        from bedside.distill import build_student
        from bedside.export.onnx_export import student_to_onnx
        from bedside.export.quantize import quantize_onnx
        from bedside.runtime.axes import DHW

        torch.manual_seed(0)
        patch = DHW(edge, edge, edge)
        model = student_to_onnx(build_student(student, num_classes=CLASSES), patch)
        if precision == "int8":
            noise = np.random.default_rng(0).standard_normal((1, 1, *patch), np.float32)
            model = quantize_onnx(model, [noise])
        path.write_bytes(model.SerializeToString())
    return path


def measured_seconds(model: bytes, setting: SeriesSetting, edge: int, clock: ClockName) -> float:
    """Returns the time of the fastest of some calls, in s."""
    patch = np.random.default_rng(0).standard_normal((1, 1, edge, edge, edge), np.float32)
    now = clock_of(clock, setting.threads)
    times: list[float] = []
    with open_engine(
        setting.engine, model, threads=setting.threads, precision=setting.precision, device="CPU"
    ) as engine:
        engine.infer(patch)
        for _ in range(CALLS):
            start = now()
            engine.infer(patch)
            times.append(now() - start)
    return min(times)


def measured_memory(path: Path, setting: SeriesSetting, edge: int) -> int:
    """Returns by how many bytes the peak of a fresh process rises when it opens a model and runs a window.

    It has run another, tiny model before, so that the engine's own libraries are loaded.
    """
    code = (
        "import sys, numpy as np; from pathlib import Path; from bedside.runtime.engines import *\n"
        "from bedside.devices.probe.kernels import Kernel\n"
        "engine, precision, file, edge = sys.argv[1:]; edge = int(edge)\n"
        "tiny = Kernel('conv', 8, 8, 16).network(1); patch = np.ones((1, 1, edge, edge, edge), np.float32)\n"
        "with open_engine(engine, tiny, threads=1, precision=precision) as opened:\n"
        "    opened.infer(patch[:, :, :16, :16, :16].copy())\n"
        "read = lambda key: int(next(l for l in open('/proc/self/status') if l.startswith(key)).split()[1]) * 1024\n"
        "before = read('VmRSS')\n"
        "with open_engine(engine, Path(file).read_bytes(), threads=1, precision=precision) as opened:\n"
        "    opened.infer(patch)\n"
        "print(read('VmHWM') - before)"
    )
    words = [sys.executable, "-c", code, setting.engine, setting.precision, str(path), str(edge)]
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def settings(engines: list[str], all_cores: int) -> list[tuple[int, SeriesSetting]]:
    """Returns (cores that the process may use, what is measured): all cores with 1 and all threads, one core with 1."""
    pairs = [(all_cores, 1), (all_cores, all_cores), (1, 1)] if all_cores > 1 else [(1, 1)]
    found: list[tuple[int, SeriesSetting]] = []
    for engine in engines:
        for precision in ("fp32", "bf16", "int8") if engine == "openvino" else ("fp32", "int8"):
            found += [(cores, SeriesSetting(engine, precision, threads)) for cores, threads in pairs]
    return found


def measure(out: Path, engines: list[str], clock: ClockName) -> Figures:
    """Measures what is missing, and returns all figures."""
    file = out / "results.json"
    figures = msgspec.json.decode(file.read_bytes(), type=Figures) if file.exists() else Figures(clock)
    if figures.clock != clock:
        raise SystemExit(f"{file}: measured by {figures.clock}; choose another folder for {clock}")
    cores = sorted(os.sched_getaffinity(0))
    done = {(each.key, each.student, each.edge) for each in figures.results}
    for count, setting in settings(engines, len(cores)):
        os.sched_setaffinity(0, cores[:count])
        limits = (count, setting.engine, setting.precision, setting.threads)
        key = " ".join(map(str, limits))
        if key not in figures.series:
            figures.series[key] = time_series(setting, PROBE_SECONDS, clock)
            file.write_bytes(msgspec.json.encode(figures))
        for student in STUDENTS:
            for edge in EDGES:
                if (key, student, edge) in done:
                    continue
                content = model_file(out, student, edge, setting.precision).read_bytes()
                seconds = measured_seconds(content, setting, edge, clock)
                figures.results.append(Measured(*limits, student, edge, seconds))
                file.write_bytes(msgspec.json.encode(figures))
                print(f"{key} {student} {edge}: {seconds:.4f} s", file=sys.stderr, flush=True)
    os.sched_setaffinity(0, cores)
    return figures


def compared(out: Path, figures: Figures) -> list[Compared]:
    """Returns every measured time with the one that the planner predicts from the kernels."""
    costs: dict[Path, ModelCost] = {}
    rows: list[Compared] = []
    for each in figures.results:
        path = model_file(out, each.student, each.edge, each.precision)
        if path not in costs:
            costs[path] = model_cost(path.read_bytes())
        quantized = figures.series[each.key] if each.precision == "int8" else None
        speed = ProbedSpeed(figures.series[each.key.replace("int8", "fp32")], quantized)
        window = speed.window_seconds(costs[path])
        if not isinstance(window, Interval):
            raise SystemExit(f"{each.student}: {window}")
        rows.append(Compared(each, window))
    return rows


def add_memory(out: Path, figures: Figures, engines: list[str]) -> None:
    """Measures the memory of every student, in each engine and precision with one thread."""
    done = {(each.engine, each.precision, each.student, each.edge) for each in figures.memory}
    for _, setting in settings(engines, 1):
        for student in STUDENTS:
            for edge in EDGES:
                if (setting.engine, setting.precision, student, edge) in done:
                    continue
                path = model_file(out, student, edge, setting.precision)
                variant = PlannedVariant(model_cost(path.read_bytes()), path.stat().st_size)
                logits = 4 * CLASSES * edge**3  # which the plan counts to the scan's memory
                predicted = engine_memory(variant, setting.precision).predicted + logits
                measured = measured_memory(path, setting, edge)
                figures.memory.append(Memory(setting.engine, setting.precision, student, edge, measured, predicted))
                (out / "results.json").write_bytes(msgspec.json.encode(figures))


def table(title: str, rows: list[Compared], name: Callable[[Measured], str]) -> list[str]:
    """Returns a table in Markdown: the errors of each group, and of all."""
    lines = [f"| {title} | windows | median error | worst | predicted / measured | in the 80 % interval |"]
    lines += ["| -- " * 6 + "|"]
    for group in (*dict.fromkeys(name(row.measured) for row in rows), "all"):
        chosen = [row for row in rows if group in (name(row.measured), "all")]
        errors, ratios = [row.error for row in chosen], [row.ratio for row in chosen]
        lines.append(
            f"| {group} | {len(chosen)} | {np.median(errors):.0%} | {max(errors):.0%} | "
            f"{min(ratios):.2f} … {max(ratios):.2f} | {sum(row.covered for row in chosen)} |"
        )
    return [*lines, ""]


def report(figures: Figures, rows: list[Compared]) -> str:
    """Returns the figures as tables in Markdown."""
    lines = [f"Clock: {figures.clock}.", ""]
    lines += table(
        "engine", rows, lambda each: f"{each.engine} {each.precision}, {each.threads} threads on {each.cores} cores"
    )
    lines += table("student", rows, lambda each: f"{each.student} {each.edge}³")
    for engine in dict.fromkeys(each.engine for each in figures.memory):
        errors = [abs(each.predicted / each.measured - 1) for each in figures.memory if each.engine == engine]
        said = f"median error {np.median(errors):.0%}, worst {max(errors):.0%}"
        lines.append(f"Memory of {engine}, {len(errors)} models: {said}.")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of models and results")
    parser.add_argument("--engine", action="append", choices=["openvino", "onnxruntime"])
    parser.add_argument("--processor-time", action="store_true", help="on a busy machine: time of the threads")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    engines = given.engine or ["openvino", "onnxruntime"]
    figures = measure(given.out, engines, "processor time" if given.processor_time else "time")
    add_memory(given.out, figures, engines)
    print(report(figures, compared(given.out, figures)))


if __name__ == "__main__":
    main()
