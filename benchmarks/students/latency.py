"""Milliseconds per window of every bundle, engine and precision, and of torch: side by side, in several rounds.

    python benchmarks/students/latency.py OUT STUDENT … --seeds 0 1

Machines drift: a round measures every variant once, and the median over the rounds counts. Variants are opened one at a
time, so that all of them fit into memory. ``torch fp32`` is the same network in torch eager, channels first, as MONAI
and nnU-Net call theirs. `students.py` starts this program, while nothing else runs.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import torch
from bedside.benchmarks.shared.plan import load_plan
from bedside.devices.measurement.latency import measure_latency
from bedside.distill import build_student
from bedside.runtime import Bundle
from bedside.runtime.engines import open_engine
from numpy.typing import NDArray
from plan import Plan, is_done, run_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_ROUNDS = 3
_SECONDS = 1.0  # of a variant's measurement in a round
_CALLS = 3


def measure(bundles: dict[str, Path], threads: int) -> dict[str, dict[str, float]]:
    """Returns student → ``engine precision`` → milliseconds per window.

    Args:
        bundles: student → bundle.
        threads: CPU threads of the engines; torch has what it was set to.
    """
    times: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number in range(_ROUNDS):
        for student, path in bundles.items():
            for variant, call in _calls(student, path, threads):
                measured = measure_latency(call, min_seconds=_SECONDS, min_calls=_CALLS)
                times[student][variant].append(measured.p50_ms)
            print(f"round {number + 1} of {_ROUNDS}: {student}", flush=True)
    return {student: {name: median(each) for name, each in of.items()} for student, of in times.items()}


def _calls(student: str, path: Path, threads: int) -> Iterator[tuple[str, Callable[[], NDArray[np.float32]]]]:
    """Yields each variant's ``engine precision`` and a call of it on one window; the next yield closes it."""
    with Bundle.open(path) as bundle:
        task = bundle.manifest.task
        window = np.random.default_rng(0).random((1, 1, *task.patch.dhw), np.float32)
        for variant in bundle.manifest.variants:
            file = bundle.path / variant.file
            with closing(open_engine(variant.engine, file, threads=threads, precision=variant.precision)) as engine:
                yield f"{variant.engine} {variant.precision}", lambda: engine.infer(window)
    network = build_student(student, num_classes=task.num_classes).eval()
    tensor = torch.from_numpy(window)

    def infer() -> NDArray[np.float32]:
        with torch.inference_mode():
            return network(tensor).numpy()

    yield "torch fp32", infer


def first_bundle(out: Path, student: str, seeds: Sequence[int]) -> Path:
    """Returns the bundle of a student's first finished run, in the order of the seeds."""
    return next(run_folder(out, student, seed) / "student.bedside" for seed in seeds if is_done(out, student, seed))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("students", nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", required=True, help="the first with a finished run counts")
    given = parser.parse_args()
    bundles = {name: first_bundle(given.out, name, given.seeds) for name in given.students}
    threads = load_plan(given.out, Plan).threads
    torch.set_num_threads(threads)
    found = measure(bundles, threads)
    (given.out / "latency.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
