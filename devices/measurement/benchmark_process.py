"""A bundle's variant in the process that measures it: no variant inherits another's memory or warm caches."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...runtime.bundles.bundle import Bundle
from ...runtime.bundles.trusted_keys import Trust
from ...runtime.engine_selection.self_test import GoldenTest
from ...runtime.engines import ENGINES, Engine, open_engine, package_version
from ...runtime.errors import UsageError
from ...runtime.segmenter import Segmenter
from .report import ColdStart, EndToEnd


@dataclass(frozen=True)
class BenchmarkRequest:
    """One variant to measure, see `Contender`.

    Attributes:
        bundle: path of the bundle.
        engine: row of the engine table.
        precision: precision of the variant.
        device: the engine's name of the device to run on.
        threads: number of CPU threads.
        label: name that tells it from the other variants of the same run.
        input: path of the scan to segment end to end; None for no end-to-end run.
        overlap: overlap of the windows, 0 ≤ overlap < 1; None for the bundle's recommended one.
        memory_limit: bytes that the process may hold; None for all free memory.
        trust: paths of public keys, one of which must have signed the bundle; None for any bundle.
        on_card: whether the device is an NVIDIA graphics card.
    """

    bundle: str
    engine: str
    precision: str
    device: str
    threads: int
    label: str = ""
    input: str | None = None
    overlap: float | None = None
    memory_limit: int | None = None
    trust: Trust | None = None
    on_card: bool = False

    @contextmanager
    def session(self) -> Generator[BundleSession]:
        """Opens the session; it loads the bundle only when it starts."""
        session = BundleSession(self)
        try:
            yield session
        finally:
            session.close()

    def engine_version(self) -> str:
        """Returns the engine's version, also where it was installed without a wheel's metadata (JetPack)."""
        package = ENGINES[self.engine].package
        return package_version(package) or getattr(sys.modules.get(package), "__version__", "unknown")


class BundleSession:
    """The steps of a bundle's variant, see `Session`."""

    def __init__(self, request: BenchmarkRequest) -> None:
        self._request = request
        self._engine: Engine | None = None
        self._segmenter: Segmenter | None = None

    def start(self, compiled: Path | None, keep: Path | None) -> ColdStart:
        """Opens bundle and engine and runs one window; see `Session.start`."""
        start = time.perf_counter()
        with Bundle.open(self._request.bundle, self._request.trust) as bundle:
            opened = time.perf_counter()
            engine = self._engine = self._open(bundle, None if compiled is None else compiled.read_bytes())
        loaded = time.perf_counter()
        engine.infer(_window(engine))
        first = time.perf_counter()
        if keep is not None and (content := engine.compiled()) is not None:
            keep.write_bytes(content)
        return ColdStart(opened - start, loaded - opened, first - loaded, first - start)

    def self_test(self) -> None:
        """Repeats the bundle's golden patch; raises BundleError where the network gives another result here."""
        engine, asked = self._network(), self._request
        with Bundle.open(asked.bundle, asked.trust) as bundle:
            golden, variant = GoldenTest.of(bundle), bundle.variant(asked.engine, asked.precision)
        golden.check(golden.run(engine)[0], engine, variant)

    def window(self) -> Callable[[], object]:
        """Returns the call that runs one window; opens the network again after scans."""
        engine = self._network()
        window = _window(engine)
        return lambda: engine.infer(window)

    def open_scans(self) -> None:
        """Closes the network, and loads the segmenter."""
        self._close_engine()
        asked = self._request
        self._segmenter = Segmenter.load(
            asked.bundle,
            asked.engine,
            asked.precision,
            asked.threads,
            memory_limit=asked.memory_limit,
            device=asked.device,
            trust=asked.trust,
        )

    def scan(self, progress: Callable[[float], object]) -> EndToEnd:
        """Segments the request's scan once, from file to label file, and returns the time of each stage."""
        if self._segmenter is None or self._request.input is None:
            raise UsageError("expected a session with a scan, whose segmenter is loaded")
        with tempfile.TemporaryDirectory(prefix="bedside-benchmark-") as folder:
            start = time.perf_counter()
            result = self._segmenter.segment(
                self._request.input,
                overlap=self._request.overlap,
                progress=lambda done, total: progress(done / max(total, 1)),
            )
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

    def close(self) -> None:
        """Closes what is open."""
        self._close_engine()
        self._close_segmenter()

    def _network(self) -> Engine:
        if self._engine is None:
            self._close_segmenter()
            with Bundle.open(self._request.bundle, self._request.trust) as bundle:
                self._engine = self._open(bundle, None)
        return self._engine

    def _open(self, bundle: Bundle, compiled: bytes | None) -> Engine:
        asked = self._request
        model = bundle.model(bundle.variant(asked.engine, asked.precision))
        return open_engine(
            asked.engine,
            model,
            threads=asked.threads,
            precision=asked.precision,
            compiled=compiled,
            device=asked.device,
        )

    def _close_engine(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def _close_segmenter(self) -> None:
        segmenter, self._segmenter = self._segmenter, None
        if segmenter is not None:
            segmenter.close()


def _window(engine: Engine) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1, 1, *engine.patch_dhw), dtype=np.float32)
