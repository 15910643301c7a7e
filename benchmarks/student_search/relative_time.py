"""How long a student takes per window on this machine's engines, as a share of another's, measured in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from math import prod
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from bedside.devices.measurement.latency import call_times, warm_up
from bedside.runtime.engines import open_engine

if TYPE_CHECKING:
    from bedside.distill import StudentSpec
    from bedside.runtime.axes import DHW

ENGINES = ("onnxruntime", "openvino")
_ROUNDS = 5
_SECONDS = 0.3  # of a student's calls in a round


@contextmanager
def opened_windows(spec: StudentSpec, num_classes: int, patch: DHW, threads: int) -> Iterator[Callable[[], float]]:
    """Yields a function that returns the seconds of one window with the faster engine.

    A student that refuses the patch gets the smallest larger one, and its seconds count by the patch's share of that.

    Args:
        spec: the student; its weights are random.
        num_classes: output channels.
        patch: the window, in voxels.
        threads: CPU threads.
    """
    from bedside.export.onnx_graphs.onnx_export import student_to_onnx

    window = spec.patch_rule.covering(patch)
    file = student_to_onnx(spec.build(num_classes).eval(), window).SerializeToString()
    image = np.random.default_rng(0).random((1, 1, *window), np.float32)
    with ExitStack() as stack:
        engines = [open_engine(name, file, threads=threads) for name in ENGINES]
        for engine in engines:
            stack.callback(engine.close)
            warm_up(lambda engine=engine: engine.infer(image))

        def seconds() -> float:
            calls = (
                call_times(lambda engine=engine: engine.infer(image), min_seconds=_SECONDS, min_calls=2)
                for engine in engines
            )
            return min(median(times) for times in calls) * prod(patch) / prod(window)

        yield seconds


def relative_time(first: Callable[[], float], second: Callable[[], float], wanted: float) -> float:
    """Returns the first's seconds as a share of the second's: the median over rounds of both.

    A share that is more than twice or less than a quarter of the wanted one is that of a single round.
    """
    share = first() / second()
    if not wanted / 4 <= share <= 2 * wanted:
        return share
    return median([share, *(first() / second() for _ in range(_ROUNDS - 1))])
