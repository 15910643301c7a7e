"""Runs bedside: the bundle exported from the student, on this runtime. Started by speed.py."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from bedside.runtime import Segmenter
from bedside.runtime.engines import Engine
from job import BedsideJob, Outcome, answer, peak_bytes, read_job, timed


def network_alone(engine: Engine, value_range: tuple[float, float], windows: int) -> float:
    """Returns the engine's seconds for a number of windows, as many at once as it accepts, results dropped."""
    patch = np.random.default_rng(0).uniform(*value_range, (1, 1, *engine.patch_dhw)).astype(np.float32)

    def infer(_: int) -> None:
        engine.infer(patch)

    with ThreadPoolExecutor(engine.parallel) as pool:
        _, seconds = timed(lambda: list(pool.map(infer, range(windows))))
    return seconds


def beside_network(seconds: list[float], network: list[float]) -> list[float]:
    """Returns the share of each pass that is not the network.

    Args:
        seconds: seconds of each pass.
        network: seconds of the network alone, before the first pass and after each.
    """
    pairs = pairwise(network)
    return [1 - (before + after) / 2 / whole for whole, (before, after) in zip(seconds, pairs, strict=True)]


def main() -> None:
    job = read_job(BedsideJob)
    with Segmenter.load(job.bundle, engine=job.engine, precision=job.precision, threads=job.threads) as segmenter:
        choice, engine = segmenter.choice, segmenter.engine
        values = segmenter.task.intensity.normalised_range
        result = segmenter.segment(job.piece, overlap=job.overlap, skip_air=job.skip_air)
        seconds: list[float] = []
        network: list[float] = []
        stages = dict(result.timings)
        if job.repeats:
            # A whole pass, untimed: the network alone is then timed on as many windows.
            result = segmenter.segment(job.scan, overlap=job.overlap, skip_air=job.skip_air)
            network.append(network_alone(engine, values, result.windows))
        for _ in range(job.repeats):
            result, spent = timed(lambda: segmenter.segment(job.scan, overlap=job.overlap, skip_air=job.skip_air))
            if spent < min(seconds, default=np.inf):
                stages = dict(result.timings)
            seconds.append(spent)
            network.append(network_alone(engine, values, result.windows))
    if job.labels:
        np.save(job.labels, result.labels)
    answer(
        Outcome(
            seconds=seconds,
            peak_bytes=peak_bytes(),
            windows=result.windows,
            taken=str(choice.setting),
            reason=choice.reason,
            beside=beside_network(seconds, network) if seconds else [],
            stages=stages,
        )
    )


if __name__ == "__main__":
    main()
