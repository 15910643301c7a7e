"""One benchmark: its settings, the measuring, and the report of what was measured."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ... import __version__
from ...runtime.bundles.trusted_keys import Trust
from ...runtime.engines import default_threads
from ...runtime.errors import ResourceError
from ...runtime.hooks import Progress
from ..hardware.device_profile import load_profile
from ..hardware.host import Host, detect
from ..sensors.conditions import Conditions, busy_warning, governor_warning, read_conditions
from .benchmark_scans import BenchmarkScans, benchmark_scans
from .chosen_variants import ChosenVariant, OpenedBundle, Opponent, choose_variants
from .imposed import Imposed, imposing
from .measuring import Failure
from .report import GIVEN_SCAN, BenchmarkReport, FailedVariant, VariantReport
from .rounds import Meter, Rounds, Schedule, measure_sustained
from .sustained import SustainedRun
from .synthetic import describe_grid
from .telemetry import Telemetry, TelemetrySampler
from .variant_run import VariantRun


@dataclass(frozen=True, kw_only=True)
class BenchmarkSettings:
    """How a benchmark measures: the arguments of `bedside.devices.benchmark`, checked and without the bundles.

    Attributes:
        thread_counts: numbers of CPU threads; empty for all that a measured process may use.
        overlaps: overlaps of the windows end to end; empty for the bundle's recommended one.
        min_seconds: shortest measurement of a variant's window latency over all rounds, in seconds.
        rounds: number of rounds of windows.
        scan_rounds: number of rounds of whole scans.
        end_to_end: whether to segment a scan as well.
        sustained: seconds of the sustained run; None for none.
        engines: rows of the engine table; None for all that are installed.
        precisions: precisions; None for all that the bundles have.
        scan: the scan to segment end to end; None for a synthetic one.
        as_device: a device whose cores and memory are imposed, as a profile's key or file; None for none.
        against: other programs that run the bundles' networks.
        progress: called with (steps done, steps in total); None for nobody.
        trust: as in `open_bundles`.
    """

    thread_counts: tuple[int, ...] = ()
    overlaps: tuple[float, ...] = ()
    min_seconds: float
    rounds: int
    scan_rounds: int
    end_to_end: bool
    sustained: float | None = None
    engines: tuple[str, ...] | None = None
    precisions: tuple[str, ...] | None = None
    scan: Path | None = None
    as_device: str | os.PathLike[str] | None = None
    against: Sequence[Opponent] = ()
    progress: Progress | None = None
    trust: Trust | None = None

    @property
    def schedule(self) -> Schedule:
        """How much the rounds measure."""
        return Schedule(self.rounds, self.min_seconds, self.scan_rounds if self.end_to_end else 0)


@dataclass(frozen=True, kw_only=True)
class BenchmarkRun:
    """What a benchmark measured, and in which conditions.

    Attributes:
        settings: the settings.
        bundles: the bundles.
        host: the machine.
        before: state of the machine before the first variant.
        after: state of the machine after the last one.
        imposed: cores and memory of a device that were imposed; None where none were.
        thread_counts: the numbers of CPU threads.
        scans: the scans.
        chosen: the variants.
        runs: the figures of each variant; one at least has not failed.
        groups: number of groups in which the variants were measured, more than one where memory was short.
        telemetry: what was sampled during the rounds.
        sustained: the sustained run, or why it failed; None where none was asked for.
    """

    settings: BenchmarkSettings
    bundles: tuple[OpenedBundle, ...]
    host: Host
    before: Conditions
    after: Conditions
    imposed: Imposed | None
    thread_counts: tuple[int, ...]
    scans: BenchmarkScans
    chosen: tuple[ChosenVariant, ...]
    runs: Sequence[VariantRun]
    groups: int
    telemetry: Telemetry
    sustained: SustainedRun | Failure | None

    def report(self) -> BenchmarkReport:
        """Returns the results."""
        first, variants = self.bundles[0].task, self._variants()
        return BenchmarkReport(
            bedside_version=__version__,
            task=first.name,
            patch=first.patch,
            threads=max(self.thread_counts),
            min_seconds=self.settings.min_seconds,
            overlap=self.settings.overlaps[0] if self.settings.overlaps else None,
            scan=self._described_scan(variants[0]),
            host=self.host,
            before=self.before,
            after=self.after,
            variants=variants,
            failed=self._failed(),
            warnings=self.warnings(),
            rounds=self.settings.rounds,
            bundles=tuple(each.measured for each in self.bundles),
            repeat=self._reference.repeat if self.settings.rounds > 1 else None,
            telemetry=self.telemetry,
            sustained=self._long_run,
            imposed=self.imposed,
            scan_sha256=self.scans.sha256,
        )

    def warnings(self) -> tuple[str, ...]:
        """Returns sentences on what makes the figures less trustworthy."""
        most = max(self.thread_counts)
        found = (
            busy_warning(self.before.load_average, self.host.cpu.logical_cores, most),
            governor_warning(),
            *(f"not measured: {_described(failure)}" for failure in self._failed()),
            f"the sustained run failed; {self.sustained.reason}" if isinstance(self.sustained, Failure) else None,
            self._warning_of_threads(most),
            f"memory was short: measured in {self.groups} groups, each with the first one that works"
            if self.groups > 1
            else None,
            self._warning_of_throttling(),
        )
        return tuple(warning for warning in found if warning is not None)

    @property
    def _reference(self) -> VariantRun:
        """The variant that the others are compared with: the first that did not fail."""
        return next(run for run in self.runs if not run.failure)

    @property
    def _long_run(self) -> SustainedRun | None:
        return None if isinstance(self.sustained, Failure) else self.sustained

    def _variants(self) -> tuple[VariantReport, ...]:
        return tuple(
            run.report(self._reference, variant.threads, variant.overlap, variant.bundle)
            for run, variant in zip(self.runs, self.chosen, strict=True)
            if not run.failure
        )

    def _failed(self) -> tuple[FailedVariant, ...]:
        return tuple(run.failed() for run in self.runs if run.failure)

    def _described_scan(self, variant: VariantReport) -> str:
        """Returns what the report says of the scan; of the caller's, with the size that the variant read."""
        whole = variant.end_to_end
        if self.settings.scan is None or whole is None:
            return self.scans.described
        return f"{GIVEN_SCAN}, {describe_grid(whole.shape, whole.spacing)}"

    def _warning_of_threads(self, most: int) -> str | None:
        usable = self.host.usable_cores if self.imposed is None else min(self.imposed.cores, self.host.usable_cores)
        return f"{most} threads on {usable} usable cores: they will wait for each other" if most > usable else None

    def _warning_of_throttling(self) -> str | None:
        long_run = self._long_run
        throttling = [*self.telemetry.throttling, *(() if long_run is None else long_run.telemetry.throttling)]
        return f"throttled during the run: {'; '.join(dict.fromkeys(throttling))}" if throttling else None


def run_benchmark(settings: BenchmarkSettings, bundles: tuple[OpenedBundle, ...]) -> BenchmarkRun:
    """Measures all variants of the bundles in turns, then the fastest one for long if that is asked for.

    Raises:
        UsageError: no device has this key, or its cores and memory cannot be imposed here.
        InputError: the scan or the device's profile is refused.
        ResourceError: no variant could be measured.
    """
    host, before = detect(), read_conditions()
    with ExitStack() as stack:
        device = settings.as_device
        imposed = None if device is None else stack.enter_context(imposing(load_profile(device)))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bedside-benchmark-")))
        thread_counts = settings.thread_counts or (_all_threads(imposed),)
        scans = benchmark_scans(settings.scan, bundles, folder, end_to_end=settings.end_to_end)
        overlaps = settings.overlaps or (None,)
        chosen = choose_variants(
            bundles, scans.paths, thread_counts, overlaps, settings.trust, imposed, settings.against
        )
        meter = Meter(len(chosen) + (settings.sustained is not None), settings.progress)
        rounds = Rounds(settings.schedule, folder, meter, imposed)
        with TelemetrySampler() as sampler:
            runs = rounds.measure([variant.request for variant in chosen])
        if all(run.failure for run in runs):
            raise ResourceError(f"no variant could be measured; {_described(runs[0].failed())}")
        seconds = settings.sustained
        sustained = None if seconds is None else measure_sustained(runs, seconds, meter, imposed)
        meter.end()
    return BenchmarkRun(
        settings=settings,
        bundles=bundles,
        host=host,
        before=before,
        after=read_conditions(),
        imposed=imposed,
        thread_counts=thread_counts,
        scans=scans,
        chosen=chosen,
        runs=runs,
        groups=rounds.groups,
        telemetry=sampler.telemetry,
        sustained=sustained,
    )


def _all_threads(imposed: Imposed | None) -> int:
    """Returns the number of CPU threads of a measured process where the caller chooses none."""
    return default_threads() if imposed is None else min(default_threads(), imposed.cores)


def _described(failure: FailedVariant) -> str:
    return f"{failure.name}: {failure.reason}"
