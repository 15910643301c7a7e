"""The benchmark: measures every engine and precision of a bundle on this machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .. import __version__
from ..runtime import arguments
from ..runtime.errors import InputError, ResourceError, without_segment_options
from ..runtime.files.system_files import is_file
from ..runtime.hooks import Progress
from .hardware.device_profile import load_profile
from .hardware.host import detect
from .measurement.imposed import imposing
from .measurement.report import GIVEN_SCAN, BenchmarkReport, FailedVariant
from .measurement.sustained import LONGEST, SHORTEST
from .measurement.synthetic import describe_grid, write_synthetic_scan
from .measurement.telemetry import TelemetrySampler
from .sensors.conditions import busy_warning, governor_warning, read_conditions

if TYPE_CHECKING:
    from ..runtime.bundles.bundle import Bundle
    from ..runtime.bundles.trusted_keys import Trust
    from .measurement.chosen_variants import OpenedBundle, Opponent

_LONGEST = 86400.0  # seconds
_MOST_ROUNDS = 1000
_MOST_THREADS = arguments.MOST_THREADS
_Value = TypeVar("_Value")


def benchmark(
    bundle: str | os.PathLike[str] | Bundle | Sequence[str | os.PathLike[str] | Bundle],
    *,
    engines: Sequence[str] | None = None,
    precisions: Sequence[str] | None = None,
    input: str | os.PathLike[str] | None = None,  # noqa: A002 - the name the command line uses
    threads: int | Sequence[int] | None = None,
    overlap: float | Sequence[float] | None = None,
    min_seconds: float = 3.0,
    rounds: int = 5,
    scan_rounds: int = 1,
    end_to_end: bool = True,
    sustained: float | None = None,
    as_device: str | os.PathLike[str] | None = None,
    against: Sequence[Opponent] = (),
    progress: Progress | None = None,
    trust: Trust | None = None,
) -> BenchmarkReport:
    """Measures start, window latency, end-to-end time by stage, memory and energy, of all variants in turns.

    Each variant has a process of its own; all take part in every round, one at a time, and are compared round by round
    with the first. A variant whose process dies, that lacks memory, or whose self-test fails on this machine is
    reported as failed, and the others are still measured.

    Args:
        bundle: a bundle's path, or an open one; or several of them.
        engines: rows of the engine table; None for all that are installed.
        precisions: ``"fp32"``, ``"fp16"``, ``"bf16"``, ``"int8"``, ``"uint8"``, ``"int8-fp16"``, ``"int8-bf16"``;
            None for all that the bundle has.
        input: path of the scan to segment end to end; None for a synthetic one at the task's spacing.
        threads: number of CPU threads, or several; None for all this process may use.
        overlap: overlap of the windows end to end, 0 ≤ overlap < 1, or several; None for the bundle's recommended one.
        min_seconds: shortest measurement of a variant's window latency over all rounds, in seconds.
        rounds: number of rounds of windows.
        scan_rounds: number of rounds of whole scans.
        end_to_end: whether to segment a scan as well.
        sustained: seconds for which the fastest variant runs windows afterwards, the first minute against the last;
            None for no such run. If it fails, a warning of the report says why.
        as_device: a device, as a profile's key or file, whose number of cores and memory are imposed on the measured
            processes; None for this machine's own. Memory is then true to the device, speed is not.
        against: other programs that run the bundles' networks, measured beside the variants.
        progress: called with (steps done, steps in total), 100 steps per variant and 100 for a sustained run.
        trust: paths of public keys, one of which must have signed the bundle (see `Bundle.open`); None for any bundle.

    Raises:
        UsageError: an engine or precision is unknown, none of those chosen runs here, or an argument has another type
            or is out of range.
        MissingExtraError: the package of an engine named in ``engines`` is not installed.
        InputError: the scan or the device's profile is refused.
        BundleError: the bundle is refused.
        ResourceError: no variant could be measured.
    """
    threads = _several("threads", threads, lambda name, each: arguments.whole_number(name, each, 1, _MOST_THREADS))
    overlaps = _several("overlap", overlap, arguments.overlap_share)
    min_seconds = arguments.number(
        "min_seconds", min_seconds, f"a number from 0 to {_LONGEST:g}", lambda given: 0 <= given <= _LONGEST
    )
    rounds = arguments.whole_number("rounds", rounds, 1, _MOST_ROUNDS)
    scan_rounds = arguments.whole_number("scan_rounds", scan_rounds, 1, _MOST_ROUNDS)
    end_to_end = arguments.flag("end_to_end", end_to_end)
    sustained = arguments.optional(
        arguments.number,
        "sustained",
        sustained,
        f"{SHORTEST:g} to {LONGEST:g} seconds",
        lambda given: SHORTEST <= given <= LONGEST,
    )
    engines = arguments.optional(arguments.names, "engines", engines)
    precisions = arguments.optional(arguments.names, "precisions", precisions)
    arguments.optional(arguments.callback, "progress", progress, "done", "total")
    input = arguments.optional(arguments.path, "input", input)  # noqa: A001 - as above
    if input is not None and not is_file(input):
        raise InputError(f'no scan "{input.name}"; expected a .nii or .nii.gz file')
    # NumPy comes with these; `bedside --help` and `bedside devices` stay without it.
    from ..runtime.engines import default_threads
    from .measurement.chosen_variants import choose_variants, open_bundles
    from .measurement.measuring import Failure
    from .measurement.rounds import Meter, Rounds, Schedule, measure_sustained

    opened = open_bundles(bundle, engines, precisions, trust)
    host, before = detect(), read_conditions()
    with ExitStack() as stack:
        imposed = None if as_device is None else stack.enter_context(imposing(load_profile(as_device)))
        threads = threads or (default_threads() if imposed is None else min(default_threads(), imposed.cores),)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bedside-benchmark-")))
        scan, scans = _scans(opened, input, folder, end_to_end=end_to_end)
        scan_sha256 = _checked_sha256(input) if input is not None and end_to_end else ""
        chosen = choose_variants(opened, scans, threads, overlaps or (None,), trust, imposed, against)
        meter = Meter(len(chosen) + (sustained is not None), progress)
        measuring = Rounds(Schedule(rounds, min_seconds, scan_rounds if end_to_end else 0), folder, meter, imposed)
        with TelemetrySampler() as sampler:
            runs = measuring.measure([variant.request for variant in chosen])
        failed = tuple(run.failed() for run in runs if run.failure)
        reference = next((run for run in runs if not run.failure), None)
        if reference is None:
            raise ResourceError(f"no variant could be measured; {_described(failed[0])}")
        outcome = None if sustained is None else measure_sustained(runs, sustained, meter, imposed)
        long_run = None if isinstance(outcome, Failure) else outcome
        meter.end()
    after = read_conditions()
    measured = tuple(
        run.report(reference, variant.threads, variant.overlap, variant.bundle)
        for run, variant in zip(runs, chosen, strict=True)
        if not run.failure
    )
    whole = measured[0].end_to_end
    if input is not None and whole is not None:
        scan = f"{GIVEN_SCAN}, {describe_grid(whole.shape, whole.spacing)}"
    most = max(threads)
    warnings = [busy_warning(before.load_average, host.cpu.logical_cores, most), governor_warning()]
    warnings += [f"not measured: {_described(failure)}" for failure in failed]
    if isinstance(outcome, Failure):
        warnings.append(f"the sustained run failed; {outcome.reason}")
    usable = host.usable_cores if imposed is None else min(imposed.cores, host.usable_cores)
    if most > usable:
        warnings.append(f"{most} threads on {usable} usable cores: they will wait for each other")
    if measuring.groups > 1:
        warnings.append(f"memory was short: measured in {measuring.groups} groups, each with the first one that works")
    throttling = [*sampler.telemetry.throttling, *(long_run.telemetry.throttling if long_run is not None else ())]
    if throttling:
        warnings.append(f"throttled during the run: {'; '.join(dict.fromkeys(throttling))}")
    return BenchmarkReport(
        bedside_version=__version__,
        task=opened[0].task.name,
        patch=opened[0].task.patch,
        threads=most,
        min_seconds=min_seconds,
        overlap=overlaps[0] if overlaps else None,
        scan=scan,
        host=host,
        before=before,
        after=after,
        variants=measured,
        failed=failed,
        warnings=tuple(warning for warning in warnings if warning is not None),
        rounds=rounds,
        bundles=tuple(each.measured for each in opened),
        repeat=reference.repeat if rounds > 1 else None,
        telemetry=sampler.telemetry,
        sustained=long_run,
        imposed=imposed,
        scan_sha256=scan_sha256,
    )


def _several(name: str, value: Any, check: Callable[[str, Any], _Value]) -> tuple[_Value, ...]:
    """Returns the values of an argument that may be one value or several; none for None."""
    if value is None:
        return ()
    given: Sequence[Any] = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(dict.fromkeys(check(name, each) for each in given))


def _scans(
    bundles: Sequence[OpenedBundle], given: Path | None, folder: Path, *, end_to_end: bool
) -> tuple[str, tuple[Path | None, ...]]:
    """Returns a description of the scan, and the path for each bundle; None without an end-to-end run."""
    if not end_to_end:
        return "none (end-to-end time was not asked for)", (None,) * len(bundles)
    if given is not None:
        return GIVEN_SCAN, (given.resolve(),) * len(bundles)
    described, paths = dict[str, None](), list[Path]()
    for index, bundle in enumerate(bundles):
        paths.append(folder / f"synthetic-{index}.nii.gz")
        described[write_synthetic_scan(bundle.task, paths[-1])] = None
    return "; ".join(described), tuple(paths)


def _checked_sha256(path: Path) -> str:
    """Reads a scan to its end and returns its hash: one that will be refused is refused before anything is measured.

    Raises:
        InputError: the scan is refused.
    """
    from ..runtime.preprocessing.plausibility import check_extent, check_values
    from ..runtime.scans.open_scan import open_scan

    try:
        scan = open_scan(path)
        check_extent(scan.grid)
        for _ in scan.planes():
            pass
        check_values(scan.low, scan.high)
    except InputError as error:
        raise InputError(without_segment_options(str(error))) from None
    return scan.sha256() or ""


def _described(failure: FailedVariant) -> str:
    return f"{failure.name}: {failure.reason}"
