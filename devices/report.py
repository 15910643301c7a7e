"""What a benchmark found: frozen records that turn into JSON as they stand. Memory is in bytes, time as named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .conditions import Conditions
from .energy import Energy
from .host import Host
from .latency import Latency


@dataclass(frozen=True)
class ColdStart:
    """From nothing loaded to the first window done, in seconds.

    Attributes:
        open_bundle_s: reading the bundle and verifying its hashes.
        load_engine_s: importing the engine and compiling the model.
        first_window_s: the first window.
        total_s: all three.
    """

    open_bundle_s: float
    load_engine_s: float
    first_window_s: float
    total_s: float


@dataclass(frozen=True)
class EndToEnd:
    """One scan from file to label file, with the bundle already loaded.

    Attributes:
        shape: (x, y, z) voxels of the scan.
        spacing: (x, y, z) mm of the scan.
        windows: windows the network saw.
        windows_skipped: windows left out because they hold no body.
        stages: stage → seconds, in the order they are run.
        total_s: wall-clock time of the whole, which is at least the sum of the stages.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    windows: int
    windows_skipped: int
    stages: dict[str, float]
    total_s: float


@dataclass(frozen=True)
class MemoryUse:
    """Resident memory of the measuring process, in bytes.

    Attributes:
        baseline: with Python, NumPy and bedside loaded, before the bundle was opened.
        network_peak: while the engine was loaded and windows ran.
        end_to_end_peak: while the scan was segmented; None if it was not.
        above_baseline: the larger peak, less the baseline.
        exact: both peaks come from the kernel's high-water mark, not from samples.
    """

    baseline: int
    network_peak: int
    end_to_end_peak: int | None
    above_baseline: int
    exact: bool


@dataclass(frozen=True)
class VariantReport:
    """One engine × precision, measured in a process of its own.

    Attributes:
        engine: row of the engine table.
        precision: ``fp32`` or ``int8``.
        engine_version: version of the engine's package.
        cold_start: load to first window.
        window: latency of one window of the network.
        energy: of the whole package or module while windows ran.
        joules_per_window: None where energy is not readable.
        memory: resident memory.
        end_to_end: the whole scan; None if it was not asked for.
    """

    engine: str
    precision: str
    engine_version: str
    cold_start: ColdStart
    window: Latency
    energy: Energy
    joules_per_window: float | None
    memory: MemoryUse
    end_to_end: EndToEnd | None


@dataclass(frozen=True)
class FailedVariant:
    """A variant that could not be measured, and why."""

    engine: str
    precision: str
    reason: str


@dataclass(frozen=True)
class BenchmarkReport:
    """Everything one benchmark found.

    Attributes:
        bedside_version: version of this package.
        task: name of the bundle's task.
        patch: (x, y, z) voxels of one window.
        threads: CPU threads the engines were given.
        min_seconds: shortest measurement of window latency, in seconds.
        overlap: of the windows, in the end-to-end run; None for the bundle's recommended one.
        scan: what was segmented end to end, in words: the caller's scan or the synthetic one. No file name.
        host: the machine.
        before: its state before the first variant.
        after: its state after the last.
        variants: what was measured.
        failed: what could not be measured, e.g. for want of memory.
        warnings: what makes the figures less trustworthy.
    """

    bedside_version: str
    task: str
    patch: tuple[int, int, int]
    threads: int
    min_seconds: float
    overlap: float | None
    scan: str
    host: Host
    before: Conditions
    after: Conditions
    variants: tuple[VariantReport, ...]
    failed: tuple[FailedVariant, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain dicts, lists, strings and numbers, ready for JSON."""
        import msgspec

        return msgspec.to_builtins(self)
