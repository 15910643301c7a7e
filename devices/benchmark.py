"""The benchmark: measures every engine and precision of a bundle on this machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..processes.worker_pool import run_in_workers
from ..runtime import arguments
from ..runtime.errors import InputError, ResourceError, UsageError
from ..runtime.files.system_files import is_file
from ..runtime.hooks import Progress
from .conditions import busy_warning, read_conditions
from .host import detect
from .report import BenchmarkReport, FailedVariant, VariantReport
from .synthetic import describe_grid, write_synthetic_scan

if TYPE_CHECKING:
    from ..runtime.bundles.bundle import Bundle
    from ..runtime.bundles.trusted_keys import Trust
    from ..runtime.engine_selection.trials import Setting
    from ..runtime.task import Task
    from .benchmark_process import BenchmarkRequest


def benchmark(
    bundle: str | os.PathLike[str] | Bundle,
    *,
    engines: Sequence[str] | None = None,
    precisions: Sequence[str] | None = None,
    input: str | os.PathLike[str] | None = None,  # noqa: A002 - the name the command line uses
    threads: int | None = None,
    overlap: float | None = None,
    min_seconds: float = 3.0,
    end_to_end: bool = True,
    progress: Progress | None = None,
    trust: Trust | None = None,
) -> BenchmarkReport:
    """Measures cold start, window latency, end-to-end time by stage, memory and energy.

    Each variant runs in a process of its own, one after the other. A variant whose process dies or lacks memory is
    reported as failed, and the others are still measured.

    Args:
        bundle: a bundle's path, or an open one.
        engines: rows of the engine table; None for all that are installed.
        precisions: ``"fp32"``, ``"fp16"``, ``"bf16"``, ``"int8"``, ``"int8-fp16"``, ``"int8-bf16"``; None for all that
            the bundle has.
        input: path of the scan to segment end to end; None for a synthetic one at the task's spacing.
        threads: number of CPU threads; None for all this process may use.
        overlap: overlap of the windows end to end, 0 ≤ overlap < 1; None for the bundle's recommended one.
        min_seconds: shortest measurement of window latency, in seconds.
        end_to_end: whether to segment a scan as well.
        progress: called with (steps done, steps in total), 100 steps per variant.
        trust: paths of public keys, one of which must have signed the bundle (see `Bundle.open`); None for any bundle.

    Raises:
        UsageError: an engine or precision is unknown, none of those chosen runs here, or an argument has another type
            or is out of range.
        MissingExtraError: the package of an engine named in ``engines`` is not installed.
        InputError: the scan is refused.
        BundleError: the bundle is refused.
        ResourceError: no variant could be measured.
    """
    threads = arguments.optional(arguments.whole_number, "threads", threads, 1, arguments.MOST_THREADS)
    overlap = arguments.optional(arguments.overlap_share, "overlap", overlap)
    min_seconds = arguments.number("min_seconds", min_seconds, "a number from 0 up", lambda given: given >= 0)
    end_to_end = arguments.flag("end_to_end", end_to_end)
    engines = arguments.optional(arguments.names, "engines", engines)
    precisions = arguments.optional(arguments.names, "precisions", precisions)
    arguments.optional(arguments.callback, "progress", progress, "progress(done, total)")
    input = arguments.optional(arguments.path, "input", input)  # noqa: A001 - as above
    if input is not None and not is_file(input):
        raise InputError(f'no scan "{input.name}"; expected a .nii or .nii.gz file')
    # NumPy comes with these; `bedside --help` and `bedside devices` stay without it.
    from ..runtime.bundles.bundle import Bundle
    from ..runtime.engines import default_threads
    from .benchmark_process import BenchmarkRequest

    path = bundle.path if isinstance(bundle, Bundle) else arguments.path("bundle", bundle)
    with Bundle.open(path, trust) as opened:
        task = opened.task
        settings = _settings(opened, engines, precisions)
    host, before = detect(), read_conditions()
    threads = threads or default_threads()
    with tempfile.TemporaryDirectory(prefix="bedside-benchmark-") as folder:
        scan, scan_path = _scan(task, input, Path(folder), end_to_end=end_to_end)
        requests = [
            BenchmarkRequest(
                bundle=str(path.resolve()),
                engine=setting.engine,
                precision=setting.precision,
                device=setting.device,
                threads=threads,
                min_seconds=min_seconds,
                input=None if scan_path is None else str(scan_path),
                overlap=overlap,
                trust=trust,
            )
            for setting in settings
        ]
        measured, failed = _measure(requests, progress)
    after = read_conditions()
    if not measured:
        raise ResourceError(f"no variant could be measured; {_described(failed[0])}")
    whole = measured[0].end_to_end
    if input is not None and whole is not None:
        scan = f"the scan that was given, {describe_grid(whole.shape, whole.spacing)}"
    warnings = [busy_warning(before.load_average, host.cpu.logical_cores, threads)]
    warnings += [f"not measured: {_described(failure)}" for failure in failed]
    if threads > host.usable_cores:
        warnings.append(f"{threads} threads on {host.usable_cores} usable cores: they will wait for each other")
    return BenchmarkReport(
        bedside_version=__version__,
        task=task.name,
        patch=task.patch,
        threads=threads,
        min_seconds=min_seconds,
        overlap=overlap,
        scan=scan,
        host=host,
        before=before,
        after=after,
        variants=measured,
        failed=failed,
        warnings=tuple(warning for warning in warnings if warning is not None),
    )


def _settings(bundle: Bundle, engines: Sequence[str] | None, precisions: Sequence[str] | None) -> tuple[Setting, ...]:
    """Returns the settings to measure, in one stream: those that the bundle has and this machine runs."""
    from ..runtime.engine_selection.trials import Setting
    from ..runtime.engines import ENGINES, available_engines, inference_devices

    offered = sorted({variant.precision for variant in bundle.manifest.variants})
    unknown = [precision for precision in precisions or () if precision not in offered]
    if unknown:
        raise UsageError(f'the bundle has no precision "{unknown[0]}"; it has: {", ".join(offered)}')
    installed = available_engines()
    for engine in engines or ():
        ENGINES.find(engine).require_installed()
    chosen = [engine for engine in installed if engines is None or engine in engines]
    wanted = [precision for precision in offered if precisions is None or precision in precisions]
    settings = tuple(
        Setting(engine, precision, device=device.name)
        for engine in chosen
        for precision in wanted
        if bundle.offers(engine, precision)
        for device in inference_devices(engine, precision)
    )
    if not settings:
        raise UsageError(
            f"on this machine {' and '.join(chosen)} cannot run the bundle's {' or '.join(wanted)}; "
            "leave --engine or --precision out"
        )
    return settings


def _scan(task: Task, given: Path | None, folder: Path, *, end_to_end: bool) -> tuple[str, Path | None]:
    """Returns a description of the scan, and its path; the path is None without an end-to-end run."""
    if not end_to_end:
        return "none (end-to-end time was not asked for)", None
    if given is not None:
        return "the scan that was given", given.resolve()
    path = folder / "synthetic.nii.gz"
    return write_synthetic_scan(task, path), path


def _measure(
    requests: Sequence[BenchmarkRequest], progress: Progress | None
) -> tuple[tuple[VariantReport, ...], tuple[FailedVariant, ...]]:
    from .benchmark_process import STEPS, Benchmarking

    outcomes: list[VariantReport | FailedVariant] = []
    for index, request in enumerate(requests):

        def advance(done: int, total: int, before: int = index * STEPS) -> None:
            if progress is not None:
                progress(before + done, len(requests) * STEPS)

        # One process for each variant: a process that has measured a variant is not given another.
        ((_, outcome),) = run_in_workers(Benchmarking(), [request], 1, advance, hide_stderr=True)
        outcomes.append(outcome)
        advance(STEPS, STEPS)
    return (
        tuple(outcome for outcome in outcomes if isinstance(outcome, VariantReport)),
        tuple(outcome for outcome in outcomes if isinstance(outcome, FailedVariant)),
    )


def _described(failure: FailedVariant) -> str:
    return f"{failure.name}: {failure.reason}"
