"""The results of a benchmark: frozen records, ready for JSON. Memory is in bytes; field names give units of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ...runtime.axes import XYZ
from ...runtime.errors import InputError
from ...runtime.files.text import read_utf8
from ..hardware.host import Host
from ..sensors.conditions import Conditions
from ..sensors.energy import Energy
from .imposed import Imposed
from .latency import Latency
from .ratio import Ratio
from .sustained import SustainedRun
from .telemetry import Telemetry

_Report = TypeVar("_Report")

GIVEN_SCAN = "the scan that was given"  # how the description of a caller's scan begins
SCHEMA_VERSION = 1  # of the JSON that a benchmark prints; a change of a field's meaning raises it


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
        rounds_s: total of every round, of which this is the one with the median total.
    """

    shape: XYZ
    spacing: tuple[float, float, float]
    windows: int
    windows_skipped: int
    stages: dict[str, float]
    total_s: float
    windows_without_organ: int = 0
    rounds_s: tuple[float, ...] = ()


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
class NamedVariant:
    """A variant on a device, and its name in a report.

    Attributes:
        engine: row of the engine table.
        precision: ``fp32``, ``fp16``, ``bf16``, ``int8``, ``uint8``, ``int8-fp16`` or ``int8-bf16``.
        device: the engine's name of the device.
        label: name that tells it from the others of the same run; empty where engine, precision and device do.
    """

    engine: str
    precision: str
    device: str
    label: str = field(default="", kw_only=True)

    @property
    def name(self) -> str:
        """Its label, or engine, precision and, unless it is the CPU, device (``"openvino fp16 on GPU"``)."""
        plain = f"{self.engine} {self.precision}" + ("" if self.device == "CPU" else f" on {self.device}")
        return self.label or plain


@dataclass(frozen=True)
class VariantReport(NamedVariant):
    """A variant, measured in a process of its own, in rounds with the others.

    Attributes:
        engine_version: version of the engine's package.
        cold_start: time from nothing loaded to the first window, with the network compiled anew.
        cached_start: the same in a new process, with the network as the cold start compiled it, where the engine keeps
            it; None where it was not measured.
        window: latency of one window of the network, over the calls of all rounds.
        rounds_ms: median latency of a window in each round, in ms.
        noise: standard deviation of the rounds' medians as a share of their mean; None with one round.
        ratio: its latency by the first variant's, round by round; None for the first one, and without a common round.
        total_ratio: the same of the end-to-end time; None as above.
        energy: energy of the whole package or module while windows ran.
        joules_per_window: energy of one window in J; None where energy is not readable.
        joules_per_scan: energy of one scan in J, from file to label file; None where energy is not readable.
        memory: resident memory.
        end_to_end: measurements of a whole scan; None without an end-to-end run.
        threads: number of its CPU threads.
        overlap: overlap of its windows in the end-to-end run; None for the bundle's recommended one.
        bundle: its bundle in `BenchmarkReport.bundles`, from 0; None for a program without a bundle.
    """

    engine_version: str
    cold_start: ColdStart
    window: Latency
    energy: Energy
    joules_per_window: float | None
    memory: MemoryUse
    end_to_end: EndToEnd | None
    cached_start: ColdStart | None = None
    rounds_ms: tuple[float, ...] = ()
    noise: float | None = None
    ratio: Ratio | None = None
    total_ratio: Ratio | None = None
    joules_per_scan: float | None = None
    threads: int | None = None
    overlap: float | None = None
    bundle: int | None = 0


@dataclass(frozen=True)
class FailedVariant(NamedVariant):
    """A variant that could not be measured, and why."""

    reason: str


@dataclass(frozen=True)
class MeasuredBundle:
    """A bundle that took part.

    Attributes:
        name: name of its directory or zip, without its ending.
        sha256: hash of its manifest, which has the hashes of all other files.
        task: name of its task.
        patch: voxels of one window.
        student: registered name of its student.
    """

    name: str
    sha256: str
    task: str
    patch: XYZ
    student: str


def different_names(names: Sequence[str]) -> list[str]:
    """Returns the names, numbered where two are the same."""
    return [name if names.count(name) == 1 else f"{name} ({index + 1})" for index, name in enumerate(names)]


@dataclass(frozen=True)
class BenchmarkReport:
    """The results of one benchmark.

    Attributes:
        bedside_version: version of this package.
        task: name of the first bundle's task.
        patch: voxels of one window of the first bundle.
        threads: number of CPU threads of the engines, the most where there were several numbers.
        min_seconds: shortest measurement of window latency, in seconds.
        overlap: overlap of the windows in the end-to-end run, the first where there were several; None for the
            bundle's recommended one.
        scan: description of the scan segmented end to end, the caller's or the synthetic one; no file name.
        scan_sha256: SHA-256 of the caller's scan; empty where there was none, or where an older report has none.
        host: the machine.
        before: state of the machine before the first variant.
        after: state of the machine after the last variant.
        variants: the measured variants.
        failed: the variants that could not be measured, for example because memory was short.
        warnings: sentences on what makes the figures less trustworthy.
        schema_version: `SCHEMA_VERSION`.
        rounds: number of rounds in which the variants took turns.
        bundles: the bundles.
        repeat: the first variant measured a second time in every round, by itself: what difference the machine's noise
            alone makes; None with one variant or one round.
        telemetry: clocks, temperatures, power, memory and throttling during the rounds; None where it was not sampled.
        sustained: the sustained run of the fastest variant; None where none was asked for, or where it failed, which
            is a warning.
        imposed: cores and memory of a device that were imposed, which makes the times this machine's and not the
            device's; None where none were.
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
    schema_version: int = SCHEMA_VERSION
    rounds: int = 1
    bundles: tuple[MeasuredBundle, ...] = ()
    repeat: Ratio | None = None
    telemetry: Telemetry | None = None
    sustained: SustainedRun | None = None
    imposed: Imposed | None = None
    scan_sha256: str = ""

    def segmented_the_scan_of(self, other: BenchmarkReport) -> bool:
        """Whether both segmented the same scan: the same synthetic one, or files with the same content.

        False where nobody knows: a report without the hash of a scan that was given.
        """
        known = bool(self.scan_sha256) or not self.scan.startswith(GIVEN_SCAN)
        return known and (self.scan, self.scan_sha256) == (other.scan, other.scan_sha256)

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain dicts, lists, strings and numbers, ready for JSON."""
        import msgspec

        return msgspec.to_builtins(self)


def read_printed(path: Path, named: str, kind: type[_Report]) -> _Report:
    """Reads what ``bedside benchmark --json`` printed.

    Args:
        path: the file.
        named: what stands for the file in messages.
        kind: type of the report, or of what is needed of it.

    Raises:
        InputError: the file cannot be read, is no such report, or is of another schema version; the field is named.
    """
    import msgspec

    class Versioned(msgspec.Struct):
        schema_version: int | None = None

    content = read_utf8(path, named)
    try:
        version = msgspec.json.decode(content, type=Versioned).schema_version
        if version != SCHEMA_VERSION:
            written = "none" if version is None else version
            raise InputError(
                f"{named}: expected schema version {SCHEMA_VERSION}, got {written}; measure again with this bedside"
            )
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError(f"{named}: expected what bedside benchmark --json prints; {error}") from None
