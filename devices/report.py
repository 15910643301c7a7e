"""The results of a benchmark: frozen records, ready for JSON. Memory is in bytes; field names give units of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..runtime.axes import XYZ
from .conditions import Conditions
from .energy import Energy
from .host import Host
from .latency import Latency


@dataclass(frozen=True)
class ColdStart:
    """Time from nothing loaded to the first window done, in seconds.

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
    """Measurements of one scan from file to label file, with the bundle already loaded.

    Attributes:
        shape: voxels of the scan.
        spacing: (x, y, z) mm of the scan.
        windows: number of windows that the network ran on.
        windows_skipped: number of windows left out because they hold no body.
        stages: stage → seconds, in the order in which the stages run.
        total_s: wall-clock time of the whole run, at least the sum of the stages.
        windows_without_organ: number of windows left out because the bundle's locator found no organ there.
    """

    shape: XYZ
    spacing: tuple[float, float, float]
    windows: int
    windows_skipped: int
    stages: dict[str, float]
    total_s: float
    windows_without_organ: int = 0


@dataclass(frozen=True)
class MemoryUse:
    """Resident memory of the benchmark process, in bytes.

    Attributes:
        baseline: memory with Python, NumPy and bedside loaded, before the bundle was opened.
        network_peak: peak while the engine was loaded and windows ran.
        end_to_end_peak: peak while the scan was segmented; None without an end-to-end run.
        above_baseline: the larger peak minus the baseline.
        exact: whether all peaks come from the kernel's high-water mark, not from samples.
    """

    baseline: int
    network_peak: int
    end_to_end_peak: int | None
    above_baseline: int
    exact: bool


@dataclass(frozen=True)
class ChosenVariant:
    """A variant on a device.

    Attributes:
        engine: row of the engine table.
        precision: ``fp32``, ``fp16``, ``bf16``, ``int8``, ``int8-fp16`` or ``int8-bf16``.
        device: the engine's name of the device.
    """

    engine: str
    precision: str
    device: str

    @property
    def name(self) -> str:
        """Engine, precision and, unless it is the CPU, device, for people (``"openvino fp16 on GPU"``)."""
        return f"{self.engine} {self.precision}" + ("" if self.device == "CPU" else f" on {self.device}")


@dataclass(frozen=True)
class VariantReport(ChosenVariant):
    """A variant, measured in a process of its own.

    Attributes:
        engine_version: version of the engine's package.
        cold_start: time from nothing loaded to the first window.
        window: latency of one window of the network.
        energy: energy of the whole package or module while windows ran.
        joules_per_window: energy of one window in J; None where energy is not readable.
        memory: resident memory.
        end_to_end: measurements of a whole scan; None without an end-to-end run.
    """

    engine_version: str
    cold_start: ColdStart
    window: Latency
    energy: Energy
    joules_per_window: float | None
    memory: MemoryUse
    end_to_end: EndToEnd | None


@dataclass(frozen=True)
class FailedVariant(ChosenVariant):
    """A variant that could not be measured, and why."""

    reason: str


@dataclass(frozen=True)
class BenchmarkReport:
    """The results of one benchmark.

    Attributes:
        bedside_version: version of this package.
        task: name of the bundle's task.
        patch: voxels of one window.
        threads: number of CPU threads of the engines.
        min_seconds: shortest measurement of window latency, in seconds.
        overlap: overlap of the windows in the end-to-end run; None for the bundle's recommended one.
        scan: description of the scan segmented end to end, the caller's or the synthetic one; no file name.
        host: the machine.
        before: state of the machine before the first variant.
        after: state of the machine after the last variant.
        variants: the measured variants.
        failed: the variants that could not be measured, for example because memory was short.
        warnings: sentences on what makes the figures less trustworthy.
    """

    bedside_version: str
    task: str
    patch: XYZ
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
