"""Times the variants on the exporting machine, each in turns with the fastest more exact one.

A variant that is not at least 5 % faster than a more exact one is not worth its loss of accuracy. The times hold for
the machine that measured them and for no other: the manifest records which one it was, and the selection of an engine
(`runtime/engine_selection`) uses them on that machine only. Everywhere else its own trials decide.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from itertools import groupby
from pathlib import Path
from statistics import median

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...devices.cpu import read_cpu
from ...runtime.bundles.figures import TimedMachine
from ...runtime.bundles.variant import Variant
from ...runtime.engine_selection.machine_identity import machine_identity
from ...runtime.engine_selection.timing import timed
from ...runtime.engines import PRECISIONS, Engine, default_threads, open_engine

_SECONDS = 1.0  # rounds are repeated that long …
_FEWEST, _MOST = 5, 25  # … within these numbers


def this_machine(threads: int | None) -> TimedMachine:
    """Describes this machine for the manifest.

    Args:
        threads: CPU threads of the engines; None for all.
    """
    threads = threads or default_threads()
    return TimedMachine(identity=machine_identity(threads), cpu=read_cpu().model, threads=threads)


def timed_variants(
    variants: Sequence[Variant],
    folder: Path,
    patch: NDArray[np.float32],
    threads: int | None,
    starting: Callable[[Variant], None],
) -> tuple[Variant, ...]:
    """Returns the variants with the time of a window.

    Every variant runs in turns with a more exact one, so that both meet the same load of the machine, and its time is
    that one's time multiplied by the median ratio. At most two engines are open at once.

    Args:
        variants: the variants, judged; one that failed is timed, but no other is compared with it.
        folder: directory of the bundle.
        patch: the window [1, 1, D, H, W].
        threads: CPU threads; None for all.
        starting: called before each variant.
    """
    threads = threads or default_threads()
    found: dict[str, Variant] = {}
    reference: Variant | None = None
    ordered = sorted(variants, key=lambda each: PRECISIONS.index(each.precision))
    for _, group in groupby(ordered, lambda each: each.precision):
        for variant in group:
            starting(variant)
            found[variant.name] = _timed(variant, reference, folder, patch, threads)
            reference = reference or found[variant.name]  # the first variant is fp32
        able = [each for each in found.values() if each.passed is not False]
        reference = min(able, key=lambda each: each.ms_per_window or 0.0, default=reference)
    return tuple(found[variant.name] for variant in variants)


def _timed(
    variant: Variant, reference: Variant | None, folder: Path, patch: NDArray[np.float32], threads: int
) -> Variant:
    with ExitStack() as stack:

        def opened(each: Variant) -> Callable[[], float]:
            engine: Engine = stack.enter_context(
                closing(open_engine(each.engine, folder / each.file, threads=threads, precision=each.precision))
            )
            engine.infer(patch)  # the first run allocates the workspace
            return lambda: timed(lambda: engine.infer(patch), threads).seconds

        own = opened(variant)
        if reference is None or reference.ms_per_window is None:
            return msgspec.structs.replace(variant, ms_per_window=1000 * median(_rounds(own)))
        other = opened(reference)
        ratio = median(_rounds(lambda: own() / other()))
        return msgspec.structs.replace(variant, ms_per_window=reference.ms_per_window * ratio)


def _rounds(measure: Callable[[], float]) -> list[float]:
    """Repeats a measurement for a second, five to 25 times."""
    results: list[float] = []
    begun = time.perf_counter()
    while len(results) < _FEWEST or (time.perf_counter() - begun < _SECONDS and len(results) < _MOST):
        results.append(measure())
    return results
