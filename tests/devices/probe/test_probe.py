"""The probe: what it times, what it leaves out with a reason, and when it stops."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from itertools import accumulate, chain, count
from types import SimpleNamespace

import numpy as np
import pytest
from bedside.devices.probe import probe as module
from bedside.devices.probe.kernels import KERNELS, Kernel
from bedside.devices.probe.probe import (
    REPEATS,
    SeriesSetting,
    clock_of,
    probe,
    settings_here,
    single_thread,
    time_kernel,
    time_series,
)
from bedside.runtime.errors import Cancelled, ResourceError
from bedside.runtime.memory.cgroup import Limits

CONV = Kernel("conv", 8, 8, 16)
FP32 = SeriesSetting("onnxruntime", "fp32", 1)


class Ticks:
    """A clock that an engine moves on by as much as a call of it takes."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds_of_network(monkeypatch):
    """Makes a network with n repeats take ``seconds[n]``, the first call a second more."""

    def prepare(seconds: dict[int, float]) -> None:
        ticks = Ticks()

        @contextmanager
        def opened(kernel, repeats, setting):
            class Engine:
                calls = 0

                def infer(self, patch):
                    assert patch.shape == (1, 1, kernel.edge, kernel.edge, kernel.edge)
                    ticks.now += seconds[repeats] + (self.calls == 0)
                    self.calls += 1

            yield Engine()

        monkeypatch.setattr(module, "_opened", opened)
        monkeypatch.setattr(module, "clock_of", lambda clock, threads: ticks)

    return prepare


def test_a_kernel_takes_the_difference_of_its_networks(seconds_of_network):
    seconds_of_network({1: 0.010, REPEATS: 0.016})
    timed = time_kernel(CONV, FP32, 0.0, "time")
    assert (timed.seconds, timed.network_seconds) == pytest.approx((0.002, 0.010))
    assert (timed.inner, timed.columns, timed.rows, timed.calls) == (8, 8, 16**3, 4)


@pytest.mark.parametrize(("calm_from", "calls"), [(4, 6), (99, 12)])
def test_a_kernel_is_called_until_the_two_fastest_calls_of_each_network_agree(monkeypatch, calm_from, calls):
    ticks = Ticks()

    @contextmanager
    def opened(kernel, repeats, setting):
        calls = count()  # the first is not counted

        def infer(patch):
            call = next(calls)
            ticks.now += 0.01 * repeats * (1.5 * 1.1**call if call <= calm_from else 1)

        yield SimpleNamespace(infer=infer)

    monkeypatch.setattr(module, "_opened", opened)
    monkeypatch.setattr(module, "clock_of", lambda clock, threads: ticks)
    timed = time_kernel(CONV, FP32, 0.0, "time")
    assert timed.calls == calls
    assert (timed.seconds == pytest.approx(0.01)) == (calm_from == 4)


def test_a_time_that_is_lost_in_noise_is_said(seconds_of_network):
    seconds_of_network({1: 0.010, REPEATS: 0.009})
    assert time_kernel(CONV, FP32, 0.0, "time") == "conv 8 → 8 on 16³: its time is lost in the noise of this machine"


@pytest.mark.parametrize(("threads", "is_noise"), [(2, True), (4, False)])
def test_a_kernel_that_is_faster_than_its_threads_allow_is_noise(seconds_of_network, monkeypatch, threads, is_noise):
    monkeypatch.setattr(SeriesSetting, "kernels", [CONV])
    seconds_of_network({1: 0.010, REPEATS: 0.040})  # 10 ms with one thread
    single = time_series(FP32, 0.0)
    seconds_of_network({1: 0.010, REPEATS: 0.019})  # 3 ms with several
    setting = SeriesSetting("onnxruntime", "fp32", threads)
    found = time_series(setting, 0.0, single=single_thread(setting, [single]))
    assert (len(found.kernels), len(found.refused)) == ((0, 1) if is_noise else (1, 0))


def test_a_kernel_that_an_engine_refuses_is_said(monkeypatch):
    def refuses(*given, **fields):
        raise ResourceError("no memory")

    monkeypatch.setattr(module, "open_engine", refuses)
    assert time_kernel(CONV, FP32, 0.0, "time") == "conv 8 → 8 on 16³: no memory"
    with pytest.raises(ResourceError, match="no engine could run a kernel"):
        probe(threads=(1,), seconds=0)


def test_each_precision_times_the_kernels_that_differ_in_it():
    assert all(kernel.quantized for kernel in SeriesSetting("openvino", "int8", 1).kernels)
    assert not any(kernel.quantized for kernel in SeriesSetting("openvino", "bf16", 1).kernels)
    assert {*SeriesSetting("a", "int8", 1).kernels, *SeriesSetting("a", "fp32", 1).kernels} == set(KERNELS)


def test_onnx_runtime_is_probed_everywhere_with_every_number_of_threads():
    found = {(each.engine, each.precision, each.threads) for each in settings_here([1, 2])}
    assert found >= {("onnxruntime", precision, threads) for precision in ("fp32", "int8") for threads in (1, 2)}


def test_a_probe_can_be_cancelled():
    with pytest.raises(Cancelled):
        probe(threads=(1,), cancel=lambda: True)


def test_processor_time_is_divided_by_the_threads(monkeypatch):
    monkeypatch.setattr(module.time, "process_time", lambda: 3.0)
    assert clock_of("processor time", 2)() == 1.5


def test_progress_counts_kernels(monkeypatch):
    monkeypatch.setattr(module, "KERNELS", (CONV,))
    monkeypatch.setattr(module, "settings_here", lambda threads: [FP32])
    steps = []
    found = probe(threads=(1,), seconds=0.01, progress=lambda done, total, note: steps.append((done, total)))
    assert steps == [(0, 1)]
    (series,) = found.series
    assert np.isfinite(series.kernels[0].seconds)
    assert found.engines.keys() == {"onnxruntime"}


def test_under_a_quota_below_the_threads_the_clock_is_processor_time_by_the_quota(monkeypatch):
    monkeypatch.setattr(module, "read_limits", lambda: Limits(cpus=0.5))
    monkeypatch.setattr(module.time, "process_time", lambda: 3.0)
    assert clock_of("time", 1)() == 6.0
    assert clock_of("processor time", 2)() == 6.0
    monkeypatch.setattr(module, "read_limits", lambda: Limits(cpus=2.0))
    assert clock_of("time", 2) is module.time.perf_counter
    assert clock_of("processor time", 2)() == 1.5


def test_under_a_quota_below_the_threads_the_mean_call_counts(monkeypatch):
    monkeypatch.setattr(module, "read_limits", lambda: Limits(cpus=0.5))
    monkeypatch.setattr(module, "_opened", lambda *given: nullcontext(SimpleNamespace(infer=lambda patch: None)))
    ends = accumulate(chain.from_iterable((0.0, taken) for taken in (0.1, 0.4, 0.1, 0.4, 0.1, 0.4, 0.5, 0.8)))
    monkeypatch.setattr(module, "clock_of", lambda clock, threads: lambda: next(ends))
    timed = time_kernel(CONV, FP32, 0.0, "time")
    assert timed.network_seconds == pytest.approx(0.2)  # the mean of 0.1, 0.1, 0.1 and 0.5
    assert timed.seconds == pytest.approx((0.5 - 0.2) / (REPEATS - 1))
