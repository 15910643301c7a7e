"""The figures of one variant as they come in, round by round, and the report they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import median
from typing import NamedTuple, TypeVar

from ...processes.kept_worker import KeptWorker
from ..sensors.energy import Energy
from .latency import summarize
from .measuring import Failure, Figures, OpenScans, Scan, SelfTest, Step
from .ratio import Ratio, paired_ratio, spread
from .report import ColdStart, EndToEnd, FailedVariant, MemoryUse, VariantReport
from .session import Contender

Value = TypeVar("Value")


class Key(NamedTuple):
    """A round: the group of processes that were open together, and the round's number in it."""

    group: int
    number: int


@dataclass
class VariantRun:
    """A contender, its process, and its figures so far.

    Attributes:
        contender: the variant.
        worker: its process.
        failure: why it failed; empty while it works.
        cold: its cold start.
        cached: its start in a new process, from the compiled network.
        windows: round → seconds of every call.
        again: the same of the second measurement in a round, of the first contender.
        scans: round → measurements of the scan.
    """

    contender: Contender
    worker: KeptWorker[Step, Figures | Failure]
    failure: str = ""
    cold: ColdStart | None = None
    cached: ColdStart | None = None
    windows: dict[Key, list[float]] = field(default_factory=dict[Key, list[float]])
    again: dict[Key, list[float]] = field(default_factory=dict[Key, list[float]])
    scans: dict[Key, EndToEnd] = field(default_factory=dict[Key, EndToEnd])
    _energy: list[Energy] = field(default_factory=list[Energy])
    _scan_energy: list[Energy] = field(default_factory=list[Energy])
    _network: list[Figures] = field(default_factory=list[Figures])
    _whole: list[Figures] = field(default_factory=list[Figures])

    @property
    def peak(self) -> int:
        """The largest peak of its resident memory so far, in bytes."""
        return max((figures.peak for figures in (*self._network, *self._whole)), default=0)

    @property
    def median_seconds(self) -> float:
        """Median of all its windows' times, in seconds."""
        return median(seconds for times in self.windows.values() for seconds in times)

    def add_windows(self, key: Key, figures: Figures, again: bool) -> None:
        """Adds a round of windows."""
        (self.again if again else self.windows)[key] = figures.result
        self._energy.append(figures.energy)

    def add_scan(self, key: Key, figures: Figures) -> None:
        """Adds a round of scans."""
        self.scans[key] = figures.result
        self._scan_energy.append(figures.energy)

    def add_memory(self, step: Step, figures: Figures) -> None:
        """Adds the memory of a step."""
        if not isinstance(step, SelfTest):
            (self._whole if isinstance(step, (OpenScans, Scan)) else self._network).append(figures)

    def ratio_of_windows(self, reference: VariantRun) -> Ratio | None:
        """Returns its latency by the reference's; None for the reference itself, and without a common round."""
        return None if self is reference else _ratio(_medians(self.windows), _medians(reference.windows))

    def ratio_of_scans(self, reference: VariantRun) -> Ratio | None:
        """Returns its end-to-end time by the reference's; None as above."""
        return None if self is reference else _ratio(_totals(self.scans), _totals(reference.scans))

    @property
    def repeat(self) -> Ratio | None:
        """The second measurement of its rounds by the first."""
        return _ratio(_medians(self.again), _medians(self.windows))

    def failed(self) -> FailedVariant:
        """Returns the result of a run that failed."""
        contender = self.contender
        return FailedVariant(
            contender.engine, contender.precision, contender.device, self.failure, label=contender.label
        )

    def report(self, reference: VariantRun, threads: int, overlap: float | None, bundle: int | None) -> VariantReport:
        """Returns the report of a run that did not fail.

        Args:
            reference: the first run that did not fail.
            threads: number of its CPU threads.
            overlap: overlap of its windows in scans.
            bundle: its bundle's number.
        """
        if self.cold is None:
            raise ValueError("expected a run that has started")
        first = min(self.windows).group  # the first one's rounds with later groups only serve their ratios
        own = {key: times for key, times in self.windows.items() if key.group == first}
        latency = summarize([seconds for times in own.values() for seconds in times])
        medians = [seconds * 1e3 for seconds in _medians(own).values()]
        energy, scan_energy = _mean(self._energy), _mean(self._scan_energy)
        watts, contender = energy.watts, self.contender
        return VariantReport(
            engine=contender.engine,
            precision=contender.precision,
            device=contender.device,
            label=contender.label,
            engine_version=self._network[0].engine_version,
            cold_start=self.cold,
            cached_start=self.cached,
            window=latency,
            rounds_ms=tuple(medians),
            noise=spread(medians),
            ratio=self.ratio_of_windows(reference),
            total_ratio=self.ratio_of_scans(reference),
            energy=energy,
            # Power times the time of one window, because the meter's block includes the warm-up.
            joules_per_window=None if watts is None else watts * latency.mean_ms / 1e3,
            joules_per_scan=None if scan_energy.joules is None else scan_energy.joules / len(self._scan_energy),
            memory=self._memory(),
            end_to_end=self._end_to_end(),
            threads=threads,
            overlap=overlap,
            bundle=bundle,
        )

    def _memory(self) -> MemoryUse:
        network = max(self._network, key=lambda figures: figures.peak)
        whole = max(self._whole, key=lambda figures: figures.peak, default=None)
        baseline = self._network[0].baseline
        return MemoryUse(
            baseline=baseline,
            network_peak=network.peak,
            end_to_end_peak=whole.peak if whole else None,
            above_baseline=max(network.peak, whole.peak if whole else 0) - baseline,
            exact=network.exact and (whole is None or whole.exact),
        )

    def _end_to_end(self) -> EndToEnd | None:
        runs = [self.scans[key] for key in sorted(self.scans)]
        if not runs:
            return None
        middle = sorted(runs, key=lambda run: run.total_s)[(len(runs) - 1) // 2]
        return replace(middle, rounds_s=tuple(run.total_s for run in runs))


def _medians(rounds: Mapping[Key, list[float]]) -> dict[Key, float]:
    return {key: median(rounds[key]) for key in sorted(rounds)}


def _totals(scans: Mapping[Key, EndToEnd]) -> dict[Key, float]:
    return {key: run.total_s for key, run in scans.items()}


def _ratio(times: Mapping[Key, float], reference: Mapping[Key, float]) -> Ratio | None:
    common = sorted(times.keys() & reference.keys())
    return paired_ratio([times[key] for key in common], [reference[key] for key in common]) if common else None


def _mean(readings: list[Energy]) -> Energy:
    """Returns the energy of several blocks together; without a figure if one of them has none."""
    if not readings:
        return Energy(None, 0.0, "not measured")
    seconds = sum(each.seconds for each in readings)
    missing = next((each for each in readings if each.joules is None), None)
    if missing is not None:
        return Energy(None, seconds, missing.source)
    return Energy(sum(each.joules or 0.0 for each in readings), seconds, readings[0].source)
