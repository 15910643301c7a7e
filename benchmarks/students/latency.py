"""Milliseconds per window of every bundle, engine and precision: side by side, in several rounds.

    python benchmarks/students/latency.py OUT STUDENT … --seed 0

Machines drift: a round measures every variant once, and the median over the rounds counts. Variants are opened one at a
time, so that all of them fit into memory. `students.py` starts it, while nothing else runs.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from statistics import median

import numpy as np
from bedside.benchmarks.shared.plan import load_plan
from bedside.devices.latency import measure_latency
from bedside.runtime import Bundle
from bedside.runtime.engines import open_engine
from plan import Plan, run_folder

_ROUNDS = 3
_SECONDS = 1.0  # of a variant's measurement in a round
_CALLS = 3


def measure(bundles: dict[str, Path], threads: int) -> dict[str, dict[str, float]]:
    """Returns student → ``engine precision`` → milliseconds per window.

    Args:
        bundles: student → bundle.
        threads: CPU threads.
    """
    times: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number in range(_ROUNDS):
        for student, path in bundles.items():
            with Bundle.open(path) as bundle:
                window = np.random.default_rng(0).random((1, 1, *bundle.manifest.task.patch.dhw), np.float32)
                for variant in bundle.manifest.variants:
                    file = bundle.path / variant.file
                    engine = open_engine(variant.engine, file, threads=threads, precision=variant.precision)
                    try:
                        measured = measure_latency(
                            lambda: engine.infer(window),  # noqa: B023 - called at once
                            min_seconds=_SECONDS,
                            min_calls=_CALLS,
                        )
                    finally:
                        engine.close()
                    times[student][f"{variant.engine} {variant.precision}"].append(measured.p50_ms)
            print(f"round {number + 1} of {_ROUNDS}: {student}", flush=True)
    return {student: {name: median(each) for name, each in of.items()} for student, of in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("students", nargs="+")
    parser.add_argument("--seed", type=int, required=True, help="of the runs whose bundles are measured")
    given = parser.parse_args()
    bundles = {name: run_folder(given.out, name, given.seed) / "student.bedside" for name in given.students}
    found = measure(bundles, load_plan(given.out, Plan).threads)
    (given.out / "latency.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
