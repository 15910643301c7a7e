"""Probes this machine: times every kernel in its engines, precisions and numbers of threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from statistics import fmean
from typing import TYPE_CHECKING, Literal

import numpy as np

from ... import __version__
from ...runtime.engines import ENGINES, Precision, available_engines, inference_devices, open_engine, package_version
from ...runtime.errors import BedsideError, ResourceError
from ...runtime.hooks import Cancel, Progress, stop_if
from ...runtime.memory.cgroup import read_limits
from ..hardware.host import Host, detect
from ..sensors.conditions import busy_warning, read_conditions
from .kernels import KERNELS, Kernel
from .networks import kernel_network
from .results import KernelTime, Probe, ProbedHost, Series

if TYPE_CHECKING:
    from ...runtime.engines import Engine

SECONDS = 60.0
"""About how long a probe takes where none is given, in s."""

REPEATS = 4
"""How often the longer of a kernel's two networks repeats it."""

_OPENING = 0.5  # share of the time that compiling the networks takes, roughly
_FEWEST_CALLS = 4
_MOST_CALLS = 12  # of what takes longer than its share of the time
_AGREEING = 1.03  # between the two fastest calls, unless other programs disturbed all but one
_SMALLEST = 1e-9  # s; a difference of two times may be 0 or below by noise
_BEST_SPEED_UP = 1.25  # per thread; above 1, because several cores have more cache than one
_TRIES = 3

ClockName = Literal["time", "processor time"]


@dataclass(frozen=True)
class SeriesSetting:
    """An engine, a precision and a number of threads, in which kernels are timed."""

    engine: str
    precision: Precision
    threads: int

    @property
    def kernels(self) -> list[Kernel]:
        """The kernels to time: the quantized ones in int8 and uint8, the others in fp32 and bf16."""
        return [kernel for kernel in KERNELS if kernel.quantized == (self.precision in ("int8", "uint8"))]


def probe(
    *,
    seconds: float = SECONDS,
    threads: Sequence[int] | None = None,
    clock: ClockName = "time",
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> Probe:
    """Times every kernel on this machine's processor.

    In float16 nothing is timed: of the engines, none computes in it on a CPU that this was written for. Networks on
    a GPU or NPU are not timed either.

    Args:
        seconds: about how long to take, in s; compiling the networks takes its time whatever is given.
        threads: numbers of threads; None for 1 and all that the process may use.
        clock: ``"time"``, or ``"processor time"``: that of all threads divided by their number, for machines that other
            programs keep busy.
        progress: called with (kernels done, kernels in total, what is timed).
        cancel: called before every kernel; returns true to stop.

    Raises:
        ResourceError: no engine could run a kernel.
        Cancelled: ``cancel()`` returned true.
    """
    began, host, load = time.monotonic(), detect(), read_conditions().load_average
    counts = list(dict.fromkeys(threads or (1, host.usable_cores)))
    settings = list(settings_here(counts))
    total = sum(len(setting.kernels) for setting in settings)
    series: list[Series] = []
    done = 0
    for setting in settings:

        def advance(kernels: int, _: int, setting: SeriesSetting = setting, done: int = done) -> None:
            stop_if(cancel)
            if progress is not None:
                progress(done + kernels, total, f"{setting.engine} {setting.precision}, {setting.threads} threads")

        count = len(setting.kernels)
        timed = time_series(setting, seconds * count / total, clock, advance, single_thread(setting, series))
        done += count
        if timed.kernels:
            series.append(timed)
    if not series:
        raise ResourceError("no engine could run a kernel on this machine; see bedside devices detect")
    busy = busy_warning(load, host.cpu.logical_cores, max(counts))
    return Probe(
        bedside_version=__version__,
        host=_probed_host(host, load),
        engines={
            name: package_version(ENGINES[name].package) or "unknown" for name in {each.engine for each in series}
        },
        series=tuple(series),
        seconds=time.monotonic() - began,
        warnings=() if busy is None else (busy,),
        clock=clock,
    )


def time_series(
    setting: SeriesSetting,
    seconds: float,
    clock: ClockName = "time",
    advance: Progress | None = None,
    single: Series | None = None,
) -> Series:
    """Times the kernels of one engine, precision and number of threads.

    No kernel is faster by more than the number of threads than with one of them: a time below that is noise.

    Args:
        setting: the three.
        seconds: about how long to take, in s.
        clock: what to measure.
        advance: called before each kernel with (kernels done, kernels in total).
        single: the same kernels with one thread; None where they were not timed.
    """
    least = {_key(each): each.seconds / (_BEST_SPEED_UP * setting.threads) for each in single.kernels} if single else {}
    times: list[KernelTime] = []
    refused: list[str] = []
    kernels = setting.kernels
    for done, kernel in enumerate(kernels):
        if advance is not None:
            advance(done, len(kernels))
        share, smallest = (1 - _OPENING) * seconds / len(kernels), least.get(_key(kernel), _SMALLEST)
        timed = time_kernel(kernel, setting, share, clock, smallest)
        for _ in range(_TRIES - 1):
            if isinstance(timed, str):
                timed = time_kernel(kernel, setting, share, clock, smallest)
        if isinstance(timed, str):
            refused.append(timed)
        else:
            times.append(timed)
    return Series(
        engine=setting.engine,
        precision=setting.precision,
        threads=setting.threads,
        kernels=tuple(times),
        refused=tuple(refused),
    )


def single_thread(setting: SeriesSetting, series: Sequence[Series]) -> Series | None:
    """Returns the series of the same engine and precision with one thread; None where there is none, or it is this."""
    wanted = (setting.engine, setting.precision, 1)
    found = (each for each in series if (each.engine, each.precision, each.threads) == wanted)
    return None if setting.threads == 1 else next(found, None)


def settings_here(threads: Sequence[int]) -> Iterator[SeriesSetting]:
    """Yields what can be probed on this machine's processor."""
    for engine in available_engines():
        able = {kind for device in inference_devices(engine) if device.name == "CPU" for kind in device.precisions}
        for precision in ("fp32", "bf16", "int8", "uint8"):
            if precision in able:
                for count in threads:
                    yield SeriesSetting(engine, precision, count)


def time_kernel(
    kernel: Kernel, setting: SeriesSetting, seconds: float, clock: ClockName, least: float = _SMALLEST
) -> KernelTime | str:
    """Times a kernel: the fastest call of its longer network less that of its shorter one, in turns.

    If other programs disturb every call of one network, its difference from the other says nothing. Both are therefore
    called until the two fastest calls of each agree. Under a CPU quota below the threads it is the mean call of each:
    threads then wait for one that was stopped.

    Args:
        kernel: the kernel.
        setting: engine, precision and threads.
        seconds: how long to call both networks, in s; at least four calls each. Where calls do not agree, up to four
            times as long, or twelve calls.
        clock: what to measure.
        least: a shorter time is noise, in s.

    Returns:
        The time, or a sentence that says why there is none.
    """
    patch = np.random.default_rng(0).standard_normal((1, 1, *[kernel.edge] * 3), np.float32)
    now = clock_of(clock, setting.threads)
    takes_fastest = _quota_below(setting.threads) is None
    times: tuple[list[float], list[float]] = ([], [])
    with ExitStack() as stack:
        try:
            engines = [stack.enter_context(_opened(kernel, count, setting)) for count in (1, REPEATS)]
            for engine in engines:
                engine.infer(patch)
            began = time.perf_counter()
            while not are_enough(times, time.perf_counter() - began, seconds, takes_fastest):
                for engine, taken in zip(engines, times, strict=True):
                    start = now()
                    engine.infer(patch)
                    taken.append(now() - start)
        except BedsideError as error:
            return f"{_shown(kernel)}: {error}"
    shorter, longer = map(min if takes_fastest else fmean, times)
    difference = kernel.seconds(shorter, longer, REPEATS)
    if difference < max(least, _SMALLEST):
        return f"{_shown(kernel)}: its time is lost in the noise of this machine"
    return KernelTime(
        kind=kernel.kind,
        inner=kernel.inner,
        columns=kernel.columns,
        rows=kernel.rows,
        edge=kernel.edge,
        quantized=kernel.quantized,
        seconds=float(difference),
        network_seconds=max(shorter, _SMALLEST),
        calls=len(times[0]),
    )


def are_enough(times: Sequence[Sequence[float]], elapsed: float, seconds: float, takes_fastest: bool) -> bool:
    """Returns whether the calls of a kernel's two networks are enough, after some seconds of those it has."""
    calls = len(times[0])
    if calls < _FEWEST_CALLS or elapsed < seconds:
        return False
    if not takes_fastest or (calls >= _MOST_CALLS and elapsed >= 4 * seconds):
        return True
    fastest = (sorted(each)[:2] for each in times)
    return all(second <= _AGREEING * first for first, second in fastest)


def clock_of(clock: ClockName, threads: int) -> Callable[[], float]:
    """Returns a function that tells a time in s: that of the machine, or of the process's threads divided by them.

    Under a CPU quota below the threads it is the processor time divided by the quota, whichever clock is asked for: a
    kernel is over before the process is stopped for the rest of a period, and would look as fast as without a quota.
    """
    quota = _quota_below(threads)
    if quota is not None:
        return lambda: time.process_time() / quota
    return time.perf_counter if clock == "time" else lambda: time.process_time() / threads


def _quota_below(threads: int) -> float | None:
    """Returns the CPUs that a control group grants; None where it grants as many as there are threads, or sets none."""
    quota = read_limits().cpus
    return quota if quota is not None and quota < threads else None


def _opened(kernel: Kernel, repeats: int, setting: SeriesSetting) -> Engine:
    content = _network(kernel, repeats, setting.precision)
    return open_engine(setting.engine, content, threads=setting.threads, precision=setting.precision, device="CPU")


@cache
def _network(kernel: Kernel, repeats: int, precision: Precision) -> bytes:
    return kernel_network(kernel, repeats, precision)


def _key(kernel: Kernel | KernelTime) -> tuple[str, int, int, int]:
    return kernel.kind, kernel.inner, kernel.columns, kernel.edge


def _shown(kernel: Kernel) -> str:
    return f"{kernel.kind} {kernel.inner} → {kernel.columns} on {kernel.edge}³"


def _probed_host(host: Host, load: float | None) -> ProbedHost:
    return ProbedHost(
        cpu=host.cpu.model,
        architecture=host.cpu.architecture,
        features=tuple(host.cpu.features),
        usable_cores=host.usable_cores,
        cpu_quota=host.limits.cpus,
        profile=host.profile,
        load_average=load,
        board="" if host.jetson is None else host.jetson.model,
        power_mode="" if host.jetson is None else host.jetson.power_mode,
    )
