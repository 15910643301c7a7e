"""The benchmark: measures every engine and precision of a bundle on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..runtime import arguments
from ..runtime.errors import InputError
from ..runtime.files.system_files import is_file
from ..runtime.hooks import Progress
from .measurement.report import BenchmarkReport
from .measurement.sustained import LONGEST, SHORTEST

if TYPE_CHECKING:
    from ..runtime.bundles.bundle import Bundle
    from ..runtime.bundles.trusted_keys import Trust
    from .measurement.chosen_variants import Opponent

_LONGEST = 86400.0  # seconds
_MOST_ROUNDS = 1000
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
    # NumPy comes with these; `bedside --help` and `bedside devices` stay without it.
    from .measurement.benchmark_run import BenchmarkSettings, run_benchmark
    from .measurement.chosen_variants import open_bundles

    settings = BenchmarkSettings(
        thread_counts=_several("threads", threads, _thread_count),
        overlaps=_several("overlap", overlap, arguments.overlap_share),
        min_seconds=arguments.number(
            "min_seconds", min_seconds, f"a number from 0 to {_LONGEST:g}", lambda given: 0 <= given <= _LONGEST
        ),
        rounds=arguments.whole_number("rounds", rounds, 1, _MOST_ROUNDS),
        scan_rounds=arguments.whole_number("scan_rounds", scan_rounds, 1, _MOST_ROUNDS),
        end_to_end=arguments.flag("end_to_end", end_to_end),
        sustained=arguments.optional(
            arguments.number,
            "sustained",
            sustained,
            f"{SHORTEST:g} to {LONGEST:g} seconds",
            lambda given: SHORTEST <= given <= LONGEST,
        ),
        engines=arguments.optional(arguments.names, "engines", engines),
        precisions=arguments.optional(arguments.names, "precisions", precisions),
        progress=arguments.optional(arguments.callback, "progress", progress, "done", "total"),
        scan=_existing_scan(input),
        as_device=as_device,
        against=against,
        trust=trust,
    )
    opened = open_bundles(bundle, settings.engines, settings.precisions, trust)
    return run_benchmark(settings, opened).report()


def _several(name: str, value: Any, check: Callable[[str, Any], _Value]) -> tuple[_Value, ...]:
    """Returns the values of an argument that may be one value or several; none for None."""
    if value is None:
        return ()
    given: Sequence[Any] = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(dict.fromkeys(check(name, each) for each in given))


def _thread_count(name: str, value: Any) -> int:
    return arguments.whole_number(name, value, 1, arguments.MOST_THREADS)


def _existing_scan(given: Any) -> Path | None:
    path = arguments.optional(arguments.path, "input", given)
    if path is not None and not is_file(path):
        raise InputError(f'no scan "{path.name}"; expected a .nii or .nii.gz file')
    return path
