"""Times the variants on the exporting machine, each in turns with the fastest more exact one.

A variant that is not at least 5 % faster than a more exact one is not worth its loss of accuracy. The times hold for
the machine that measured them and for no other: the manifest records which one it was, and the selection of an engine
(`runtime/engine_selection`) uses them on that machine only. Everywhere else its own trials decide.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path
from statistics import median

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...devices.hardware.cpu import read_cpu
from ...runtime.bundles.figures import TimedMachine
from ...runtime.bundles.variant import Variant
from ...runtime.engine_selection.machine_identity import device_identity, machine_identity
from ...runtime.engine_selection.timing import timed
from ...runtime.engines import CPU, PRECISIONS, Engine, default_threads, open_engine

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
    that one's time multiplied by the median ratio. At most two engines are open at once, and one that is the
    reference next stays open.

    Args:
        variants: the variants, judged; one that failed is timed, but no other is compared with it.
        folder: directory of the bundle.
        patch: the window [1, 1, D, H, W].
        threads: CPU threads; None for all.
        starting: called before each variant.
    """
    found: dict[str, Variant] = {}
    reference: Variant | None = None
    ordered = sorted(variants, key=lambda each: PRECISIONS.index(each.precision))
    with closing(_OpenPair(folder, patch, threads or default_threads())) as pair:
        for _, group in groupby(ordered, lambda each: each.precision):
            for variant in group:
                starting(variant)
                found[variant.name] = _timed(variant, reference, pair)
                reference = reference or found[variant.name]  # the first variant is fp32
            able = [each for each in found.values() if each.passed is not False]
            reference = min(able, key=lambda each: each.ms_per_window or 0.0, default=reference)
    return tuple(found[variant.name] for variant in variants)


def _timed(variant: Variant, reference: Variant | None, pair: _OpenPair) -> Variant:
    if reference is None or reference.ms_per_window is None:
        pair.open(variant)
        milliseconds = 1000 * median(_rounds(lambda: pair.seconds(variant)))
    else:
        pair.open(variant, reference)
        milliseconds = reference.ms_per_window * median(
            _rounds(lambda: pair.seconds(variant) / pair.seconds(reference))
        )
    return msgspec.structs.replace(variant, ms_per_window=milliseconds, timed_device=pair.device(variant))


class _OpenPair:
    """Keeps the two variants open that are timed in turns; compiling a network may take longer than to time it.

    Args:
        folder: directory of the bundle.
        patch: the window [1, 1, D, H, W].
        threads: CPU threads.
    """

    def __init__(self, folder: Path, patch: NDArray[np.float32], threads: int) -> None:
        self._folder, self._patch, self._threads = folder, patch, threads
        self._engines: dict[str, Engine] = {}

    def open(self, *variants: Variant) -> None:
        """Opens one or two variants, after closing others so that no more than two are open."""
        wanted = {variant.name: variant for variant in variants}
        for name in [name for name in self._engines if name not in wanted][2 - len(wanted) :]:
            self._engines.pop(name).close()
        for name, variant in wanted.items():
            if name not in self._engines:
                file, precision = self._folder / variant.file, variant.precision
                engine = open_engine(variant.engine, file, threads=self._threads, precision=precision)
                self._engines[name] = engine
                engine.infer(self._patch)  # the first run allocates the workspace

    def seconds(self, variant: Variant) -> float:
        """Runs a window of an open variant, and returns its seconds."""
        engine = self._engines[variant.name]
        return timed(lambda: engine.infer(self._patch), self._threads if engine.device == CPU else None).seconds

    def device(self, variant: Variant) -> str:
        """Returns the `device_identity` of an open variant's device."""
        return device_identity(variant.engine, self._engines[variant.name].device)

    def close(self) -> None:
        """Closes what is open."""
        for engine in self._engines.values():
            engine.close()
        self._engines.clear()


def _rounds(measure: Callable[[], float]) -> list[float]:
    """Repeats a measurement for a second, five to 25 times."""
    results: list[float] = []
    begun = time.perf_counter()
    while len(results) < _FEWEST or (time.perf_counter() - begun < _SECONDS and len(results) < _MOST):
        results.append(measure())
    return results
