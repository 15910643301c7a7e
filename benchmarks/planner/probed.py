"""Compares what the planner predicts from a probe with what was measured, on students that the probe has never seen.

    python benchmarks/planner/probed.py --out FOLDER

For each limit of processors, engine, precision and number of threads, the probe's kernels are timed, then at once the
students' windows, under the same limits. Called again, it goes on where it stopped; ``results.json`` has every figure.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import product
from pathlib import Path

import msgspec
import numpy as np
from bedside.devices.planner.costs import ModelCost, model_cost
from bedside.devices.planner.probed import ProbedSpeed
from bedside.devices.planner.roofline import Interval
from bedside.devices.probe.probe import ClockName, SeriesSetting, are_enough, clock_of, time_series
from bedside.devices.probe.results import Series
from bedside.runtime.engines import open_engine
from cpu_group import cpu_group
from models import EDGES, STUDENTS, make_models, model_file
from window_memory import Memory, memory_table, missing_memory

CALLS = 4
PROBE_SECONDS = 10.0  # of one series
QUOTA_SECONDS = 2.0  # of one window's calls under a quota: 20 of its periods


def limits_key(cores: int, setting: SeriesSetting, quota: float | None) -> str:
    """Names limits: cores that the process may use, engine, precision, threads, and CPUs of its quota."""
    named = f"{cores} {setting.engine} {setting.precision} {setting.threads}"
    return named if quota is None else f"{named} quota {quota:g}"


class Measured(msgspec.Struct, frozen=True):
    """A measured time of a window, in s."""

    cores: int
    engine: str
    precision: str
    threads: int
    student: str
    edge: int
    seconds: float
    quota: float | None = None

    @property
    def key(self) -> str:
        """Names the series of kernels that was timed under the same limits."""
        return limits_key(self.cores, SeriesSetting(self.engine, self.precision, self.threads), self.quota)


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


class Figures(msgspec.Struct):
    """Everything measured so far."""

    clock: ClockName
    results: list[Measured] = []
    series: dict[str, Series] = {}
    memory: list[Memory] = []


def measured_seconds(
    model: bytes, setting: SeriesSetting, edge: int, clock: ClockName, quota: float | None = None
) -> float:
    """Returns the time of the fastest of some calls, as many as the probe takes of a kernel, in s.

    Under a quota it is their mean by the machine's time: a quota stops the process for a part of every period of 100
    ms, and a call may be over before that.
    """
    patch = np.random.default_rng(0).standard_normal((1, 1, edge, edge, edge), np.float32)
    now = clock_of(clock, setting.threads)
    times: list[float] = []
    with open_engine(
        setting.engine, model, threads=setting.threads, precision=setting.precision, device="CPU"
    ) as engine:
        engine.infer(patch)
        if quota is not None:
            return mean_seconds(lambda: engine.infer(patch))
        while not are_enough([times], elapsed=0.0, seconds=0.0, takes_fastest=True):
            start = now()
            engine.infer(patch)
            times.append(now() - start)
    return min(times)


def mean_seconds(call: Callable[[], object]) -> float:
    """Returns the mean time of calls in succession, in s."""
    calls, start = 0, time.perf_counter()
    while calls < CALLS or time.perf_counter() - start < QUOTA_SECONDS:
        call()
        calls += 1
    return (time.perf_counter() - start) / calls


def settings(engines: Sequence[str], all_cores: int, quota: float | None = None) -> list[tuple[int, SeriesSetting]]:
    """Returns (cores that the process may use, what is measured): all cores with 1 and all threads, one core with 1.

    Under a quota: all cores, with as many threads as `default_threads` takes.
    """
    pairs = [(all_cores, 1), (all_cores, all_cores), (1, 1)] if all_cores > 1 else [(1, 1)]
    if quota is not None:
        pairs = [(all_cores, min(all_cores, math.ceil(quota)))]
    found: list[tuple[int, SeriesSetting]] = []
    for engine in engines:
        for precision in ("fp32", "bf16", "int8") if engine == "openvino" else ("fp32", "int8", "uint8"):
            found += [(cores, SeriesSetting(engine, precision, threads)) for cores, threads in pairs]
    return found


def known_figures(file: Path, clock: ClockName) -> Figures:
    """Returns the figures of a file, or none where there is no such file yet."""
    figures = msgspec.json.decode(file.read_bytes(), type=Figures) if file.exists() else Figures(clock)
    if figures.clock != clock:
        raise SystemExit(f"{file}: measured by {figures.clock}; choose another folder for {clock}")
    return figures


def measure(
    file: Path,
    figures: Figures,
    students: Sequence[str],
    chosen: Sequence[tuple[int, SeriesSetting]],
    quota: float | None,
) -> None:
    """Measures the times that are missing.

    Args:
        file: where to write them; the models are beside it.
        figures: those that are known; the others are added.
        students: the students.
        chosen: what to measure, as `settings` returns it.
        quota: CPUs that this process's control group grants; None for no quota.
    """
    cores = sorted(os.sched_getaffinity(0))
    done = {(each.key, each.student, each.edge) for each in figures.results}
    for count, setting in chosen:
        os.sched_setaffinity(0, cores[:count])
        limits = (count, setting.engine, setting.precision, setting.threads)
        key = limits_key(count, setting, quota)
        if key not in figures.series:
            single = figures.series.get(limits_key(count, replace(setting, threads=1), quota))
            figures.series[key] = time_series(setting, PROBE_SECONDS, figures.clock, single=single)
            file.write_bytes(msgspec.json.encode(figures))
        for student, edge in product(students, EDGES):
            if (key, student, edge) in done:
                continue
            content = model_file(file.parent, student, edge, setting.precision).read_bytes()
            seconds = measured_seconds(content, setting, edge, figures.clock, quota)
            figures.results.append(Measured(*limits, student, edge, seconds, quota))
            file.write_bytes(msgspec.json.encode(figures))
            print(f"{key} {student} {edge}: {seconds:.4f} s", file=sys.stderr, flush=True)
    os.sched_setaffinity(0, cores)


def compared(out: Path, figures: Figures) -> list[Compared]:
    """Returns every measured time with the one that the planner predicts from the kernels."""
    costs: dict[Path, ModelCost] = {}
    rows: list[Compared] = []
    for each in figures.results:
        path = model_file(out, each.student, each.edge, each.precision)
        if path not in costs:
            costs[path] = model_cost(path.read_bytes())
        quantized = figures.series[each.key] if "int8" in each.precision else None
        speed = ProbedSpeed(figures.series[each.key.replace(each.precision, "fp32")], quantized)
        window = speed.window_seconds(costs[path])
        if not isinstance(window, Interval):
            raise SystemExit(f"{each.student}: {window}")
        rows.append(Compared(each, window))
    return rows


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


def shown_limits(each: Measured) -> str:
    """Names the limits of a measured time for people."""
    quota = "" if each.quota is None else f", quota {each.quota:g}"
    return f"{each.engine} {each.precision}, {each.threads} threads on {each.cores} cores{quota}"


def report(figures: Figures, rows: list[Compared]) -> str:
    """Returns the figures as tables in Markdown."""
    lines: list[str] = []
    if rows:
        lines += [f"Clock: {figures.clock}.", "", *table("engine", rows, shown_limits)]
        lines += table("student", rows, lambda each: f"{each.student} {each.edge}³")
    if figures.memory:
        lines += memory_table(figures.memory)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of models and results")
    parser.add_argument("--engine", action="append", choices=["openvino", "onnxruntime"])
    parser.add_argument("--student", action="append", help="instead of the five")
    parser.add_argument("--threads", type=int, help="measure with so many threads alone")
    parser.add_argument("--processor-time", action="store_true", help="on a busy machine: time of the threads")
    parser.add_argument("--quota", type=float, help="CPUs that a control group grants, such as 0.5; else none is set")
    parser.add_argument("--before-others", action="store_true", help="go before other programs, by a control group")
    parser.add_argument("--no-memory", action="store_true", help="measure no memory")
    parser.add_argument("--no-time", action="store_true", help="measure memory alone")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    file = given.out / "results.json"
    engines, students = given.engine or ["openvino", "onnxruntime"], given.student or STUDENTS
    figures = known_figures(file, "processor time" if given.processor_time else "time")
    make_models(given.out, students, {setting.precision for _, setting in settings(engines, 1)})
    if not given.no_time:
        with ExitStack() as stack:
            try:
                stack.enter_context(cpu_group(given.quota, before_others=given.before_others))
            except OSError as error:
                raise SystemExit(f"--quota, --before-others: not possible on this machine: {error}") from None
            cores = len(os.sched_getaffinity(0))
            chosen = [
                each for each in settings(engines, cores, given.quota) if given.threads in (None, each[1].threads)
            ]
            measure(file, figures, students, chosen, given.quota)
    if not given.no_memory:
        single = [setting for _, setting in settings(engines, 1)]
        for each in missing_memory(given.out, students, figures.memory, single):
            figures.memory.append(each)
            file.write_bytes(msgspec.json.encode(figures))
    print(report(figures, compared(given.out, figures)))


if __name__ == "__main__":
    main()
