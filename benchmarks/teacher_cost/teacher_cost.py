"""What a training step of the teacher costs, against the plain network of the tests: memory and time, side by side.

    python benchmarks/teacher_cost/teacher_cost.py [--sam vit_b] [--patch 64] [--device cpu] -o table.md

Every measurement runs in a process of its own, the ways in turn. README.md beside this file says what is measured how.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bedside.devices import detect
from bedside.teacher.autosam_config import AutoSamConfig
from bedside.teacher.cost import predict_cost
from bedside.teacher.simulated_step import StepMemory
from measured_step import WAYS, Case, Measured

SCRIPT = Path(__file__).parent / "measured_step.py"
TOLERANCE = 1e-3  # relative, of losses and gradient norms in float32; in float64 the tests require 1e-9
OWN_PAGES = {"MALLOC_MMAP_THRESHOLD_": "65536"}  # every tensor in pages of its own, given back when it is released
GOAL_MEMORY, GOAL_TIME = 2.0, 1.5


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way over all rounds.

    Attributes:
        way: row of `WAYS`.
        peak: bytes above the network, every tensor in pages of its own; the median of the rounds.
        heap: the same with the C library's heap as it comes, gaps between blocks included.
        seconds: the median of the rounds.
        predicted: bytes above the network; None for the plain way.
    """

    way: str
    peak: float
    heap: float
    seconds: float
    predicted: int | None


def run(case: Case, environment: dict[str, str] | None = None) -> Measured:
    """Runs a case in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        input=json.dumps(asdict(case)),
        capture_output=True,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode:
        raise SystemExit(f"{SCRIPT.name} failed for {case.way}:\n{done.stderr}")
    return Measured(**json.loads(done.stdout))


def disagreements(rounds: Sequence[Measured]) -> list[str]:
    """Returns a line for each loss and gradient norm that differs from the first way's."""
    first = rounds[0]
    return [
        f"{name} of {row.way}: {value:.8g}, of {first.way}: {expected:.8g}"
        for row in rounds
        for name, value, expected in (
            ("loss", row.loss, first.loss),
            ("gradient norm", row.gradient, first.gradient),
        )
        if abs(value - expected) > TOLERANCE * abs(expected)
    ]


def median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def above_the_network(memory: StepMemory) -> int:
    """Returns the predicted bytes without weights and without the optimiser, which the benchmark does not run."""
    return memory.peak - memory.weights - memory.optimiser


def table(rows: Sequence[Row]) -> str:
    """Returns the ways as Markdown, with ratios to the first."""
    plain = rows[0]
    lines = [
        "| way | peak above the network, MB | times less | predicted, MB | predicted/measured "
        "| with the heap as it comes, MB | seconds | times faster |",
        "|---" * 8 + "|",
    ]
    for row in rows:
        predicted = (
            ("–", "–") if row.predicted is None else (f"{row.predicted / 1e6:.0f}", f"{row.predicted / row.peak:.2f}")
        )
        lines.append(
            f"| {row.way} | {row.peak / 1e6:.0f} | {plain.peak / row.peak:.2f} | {predicted[0]} | {predicted[1]} "
            f"| {row.heap / 1e6:.0f} | {row.seconds:.2f} | {plain.seconds / row.seconds:.2f} |"
        )
    return "\n".join(lines) + "\n"


def verdict(rows: Sequence[Row]) -> str:
    """Compares the network's memory and time with the goals, as ratios to the plain one."""
    plain, ours = rows[0], rows[1]
    less, faster = plain.peak / ours.peak, plain.seconds / ours.seconds
    memory, time = ("met" if got >= goal else "missed" for got, goal in ((less, GOAL_MEMORY), (faster, GOAL_TIME)))
    return (
        f"{ours.way}: {less:.2f} times less memory (goal {GOAL_MEMORY:g}: {memory}), "
        f"{faster:.2f} times faster (goal {GOAL_TIME:g}: {time})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sam", default="vit_b", help="image encoder")
    parser.add_argument("--classes", type=int, default=14)
    parser.add_argument("--patch", type=int, default=64, help="voxels along each side; 128 on a GPU")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=3, help="of all ways in turn")
    parser.add_argument("--steps", type=int, default=1, help="timed in every process, after one that is not")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("-o", "--output", type=Path, help="Markdown file for the table")
    arguments = parser.parse_args()

    rounds: dict[str, list[Measured]] = {way: [] for way in WAYS}
    pages: dict[str, list[Measured]] = {way: [] for way in WAYS}
    for number in range(arguments.rounds):
        for way in WAYS:
            print(f"round {number + 1}: {way} …", file=sys.stderr, flush=True)
            case = Case(
                way=way,
                sam=arguments.sam,
                classes=arguments.classes,
                patch=arguments.patch,
                batch=arguments.batch,
                device=arguments.device,
                steps=arguments.steps,
                threads=arguments.threads,
            )
            rounds[way].append(run(case))
            pages[way].append(run(replace(case, steps=0), OWN_PAGES) if arguments.device == "cpu" else rounds[way][-1])
    if problems := disagreements([result for way in WAYS for result in rounds[way]]):
        raise SystemExit("the ways do not compute the same:\n" + "\n".join(problems))
    rows = []
    for way, results in rounds.items():
        cost = None
        if way != "plain":
            cost = predict_cost(
                AutoSamConfig(sam=arguments.sam, checkpoint_activations=way.endswith("checkpointed")),
                num_classes=arguments.classes,
                patch=arguments.patch,
                batch=arguments.batch,
            )
        rows.append(
            Row(
                way=way,
                peak=median([r.peak for r in pages[way]]),
                heap=median([r.peak for r in results]),
                seconds=median([r.seconds for r in results]),
                predicted=None if cost is None else above_the_network(cost.memory),
            )
        )
    where = detect().cpu.model if arguments.device == "cpu" else "CUDA"
    text = (
        f"{where}, {arguments.threads} threads; {arguments.sam}, {arguments.classes} classes, "
        f"patch {arguments.patch}³, batch {arguments.batch}; forward and backward in float32, "
        f"median of {arguments.rounds} rounds.\n\n"
        f"{table(rows)}\n{verdict(rows)}\n"
    )
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
