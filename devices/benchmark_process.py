"""The benchmark process: measures one variant, so that no variant inherits another's memory or warm caches."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..runtime.bundles.bundle import Bundle
from ..runtime.bundles.trusted_keys import Trust
from ..runtime.engines import ENGINES, open_engine, package_version
from ..runtime.errors import BedsideError, ResourceError
from ..runtime.hooks import Progress
from ..runtime.segmenter import Segmenter
from .energy import Energy, EnergyMeter
from .latency import Latency, measure_latency
from .memory import PeakMemory
from .report import ColdStart, EndToEnd, FailedVariant, MemoryUse, VariantReport

STEPS = 100  # steps of the progress bar per variant
_COLD_SHARE, _WINDOW_SHARE = 0.05, 0.25  # shares of the progress bar


@dataclass(frozen=True)
class BenchmarkRequest:
    """One variant to measure, and the options of the measurement.

    Attributes:
        bundle: path of the bundle.
        engine: row of the engine table.
        precision: precision of the variant.
        device: the engine's name of the device to run on.
        threads: number of CPU threads.
        min_seconds: shortest measurement of window latency, in seconds.
        input: path of the scan to segment end to end; None for no end-to-end run.
        overlap: overlap of the windows, 0 ≤ overlap < 1; None for the bundle's recommended one.
        trust: paths of public keys, one of which must have signed the bundle; None for any bundle.
    """

    bundle: str
    engine: str
    precision: str
    device: str
    threads: int
    min_seconds: float
    input: str | None = None
    overlap: float | None = None
    trust: Trust | None = None


@dataclass(frozen=True)
class Benchmarking:
    """The work of a benchmark process, see `Work`; an engine's failure becomes the result of its variant."""

    cleans_up: ClassVar[bool] = True  # removes the label map of the end-to-end run
    advice: ClassVar[str] = "free memory or choose int8"

    @contextmanager
    def ready(self) -> Generator[Callable[[BenchmarkRequest, Progress], VariantReport | FailedVariant]]:
        """Yields the measurement; loads nothing before it, which would shorten the cold start."""
        yield self._measure

    def failed(self, item: BenchmarkRequest, reason: str) -> FailedVariant:
        """Returns the result of a variant that was not measured."""
        return FailedVariant(item.engine, item.precision, item.device, reason)

    def _measure(self, request: BenchmarkRequest, progress: Progress) -> VariantReport | FailedVariant:
        try:
            return measure_variant(request, lambda share: progress(round(share * STEPS), STEPS))
        except ResourceError as error:
            return self.failed(request, str(error))
        except BedsideError:  # the bundle or the scan is refused, for every variant
            raise
        except MemoryError:
            return self.failed(request, "out of memory")
        except Exception as error:  # engines raise errors of many kinds
            return self.failed(request, f"{type(error).__name__}: {error}")


def measure_variant(request: BenchmarkRequest, progress: Callable[[float], object]) -> VariantReport:
    """Measures one variant in this process.

    Args:
        request: the variant and the options.
        progress: called with the finished fraction, 0…1.

    Raises:
        BedsideError: the bundle or the scan cannot be loaded, or the bundle cannot be run.
    """
    with PeakMemory() as network:
        alone = _measure_network(request, progress)
    end_to_end, whole = None, None
    if request.input is not None:
        asked = request.bundle, request.engine, request.precision, request.threads
        with PeakMemory() as whole, Segmenter.load(*asked, device=request.device, trust=request.trust) as segmenter:
            end_to_end = _segment(segmenter, request, progress)
    watts = alone.energy.watts
    peak = max(network.peak, whole.peak if whole else 0)
    return VariantReport(
        engine=request.engine,
        precision=request.precision,
        device=request.device,
        engine_version=_version(ENGINES[request.engine].package),
        cold_start=alone.cold_start,
        window=alone.latency,
        energy=alone.energy,
        # Power times the time of one window, because the meter's block includes the warm-up.
        joules_per_window=None if watts is None else watts * alone.latency.mean_ms / 1e3,
        memory=MemoryUse(
            baseline=network.baseline,
            network_peak=network.peak,
            end_to_end_peak=whole.peak if whole else None,
            above_baseline=max(peak - network.baseline, 0),
            exact=network.exact and (whole is None or whole.exact),
        ),
        end_to_end=end_to_end,
    )


@dataclass(frozen=True)
class _Network:
    """Measurements of the network alone."""

    cold_start: ColdStart
    latency: Latency
    energy: Energy


def _measure_network(request: BenchmarkRequest, progress: Callable[[float], object]) -> _Network:
    start = time.perf_counter()
    with Bundle.open(request.bundle, request.trust) as bundle:
        opened = time.perf_counter()
        model = bundle.model(bundle.variant(request.engine, request.precision))
        engine = open_engine(
            request.engine, model, threads=request.threads, precision=request.precision, device=request.device
        )
    loaded = time.perf_counter()
    with engine:
        window = np.random.default_rng(0).standard_normal((1, 1, *engine.patch_dhw), dtype=np.float32)
        engine.infer(window)
        first = time.perf_counter()
        progress(_COLD_SHARE)
        with EnergyMeter() as meter:
            latency = measure_latency(
                lambda: engine.infer(window),
                min_seconds=request.min_seconds,
                progress=lambda share: progress(_COLD_SHARE + share * _WINDOW_SHARE),
            )
    return _Network(ColdStart(opened - start, loaded - opened, first - loaded, first - start), latency, meter.reading)


def _version(package: str) -> str:
    """Returns the version of an imported package, also where it was installed without a wheel's metadata (JetPack)."""
    return package_version(package) or getattr(sys.modules.get(package), "__version__", "unknown")


def _segment(segmenter: Segmenter, request: BenchmarkRequest, progress: Callable[[float], object]) -> EndToEnd:
    """Segments the request's scan once, from file to label file, and returns the time of each stage."""
    done_before = _COLD_SHARE + _WINDOW_SHARE

    def advance(done: int, total: int) -> None:
        progress(done_before + (1 - done_before) * done / max(total, 1))

    with tempfile.TemporaryDirectory(prefix="bedside-benchmark-") as folder:
        start = time.perf_counter()
        result = segmenter.segment(str(request.input), overlap=request.overlap, progress=advance)
        segmented = time.perf_counter()
        result.save(Path(folder) / "labels.nii.gz")
        saved = time.perf_counter()
    stages = {stage: milliseconds / 1e3 for stage, milliseconds in result.timings.items()}
    return EndToEnd(
        shape=result.grid.shape,
        spacing=result.grid.spacing,
        windows=result.windows,
        windows_skipped=result.windows_skipped,
        windows_without_organ=result.windows_without_organ,
        stages={**stages, "save": saved - segmented},
        total_s=saved - start,
    )
