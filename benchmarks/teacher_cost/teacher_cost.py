"""What a training step of the teacher costs, against the plain network of the tests: memory and time, side by side.

    python benchmarks/teacher_cost/teacher_cost.py [--name autosam] [--sam vit_b] [--patch 64] -o table.md

Every measurement runs in a process of its own, the implementations in turn. README.md beside this file says what is
measured how.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bedside.devices import detect
from bedside.teacher.cost import predict_cost
from bedside.teacher.simulated_step import StepMemory
from measure_step import IMPLEMENTATIONS, PLAIN, Case, Measured, measured_config

SCRIPT = Path(__file__).parent / "measure_step.py"
TOLERANCE = 1e-3  # relative, of losses and gradient norms in float32; in float64 the tests require 1e-9
OWN_PAGES = {"MALLOC_MMAP_THRESHOLD_": "65536"}  # every tensor in pages of its own, given back when it is released
GOAL_MEMORY, GOAL_TIME = 2.0, 1.5


@dataclass(frozen=True, kw_only=True)
class Row:
    """One implementation over all rounds.

    Attributes:
        implementation: row of `IMPLEMENTATIONS`.
        peak: bytes above the network, every tensor in pages of its own; the median of the rounds.
        heap: the same with the C library's heap as it comes, gaps between blocks included.
        seconds: the median of the rounds.
        predicted: bytes above the network; None for the plain implementation.
    """

    implementation: str
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
        raise SystemExit(f"{SCRIPT.name} failed for {case.implementation}:\n{done.stderr}")
    return Measured(**json.loads(done.stdout))


def disagreements(rounds: Sequence[Measured]) -> list[str]:
    """Returns a line for each loss and gradient norm that differs from the first implementation's."""
    first = rounds[0]
    return [
        f"{name} of {row.implementation}: {value:.8g}, of {first.implementation}: {expected:.8g}"
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
    """Returns the implementations as Markdown, with ratios to the first."""
    plain = rows[0]
    lines = [
        "| implementation | peak above the network, MB | times less | predicted, MB | predicted/measured "
        "| with the heap as it comes, MB | seconds | times faster |",
        "|---" * 8 + "|",
    ]
    for row in rows:
        predicted = (
            ("–", "–") if row.predicted is None else (f"{row.predicted / 1e6:.0f}", f"{row.predicted / row.peak:.2f}")
        )
        lines.append(
            f"| {row.implementation} | {row.peak / 1e6:.0f} | {plain.peak / row.peak:.2f} | {predicted[0]} "
            f"| {predicted[1]} | {row.heap / 1e6:.0f} | {row.seconds:.2f} | {plain.seconds / row.seconds:.2f} |"
        )
    return "\n".join(lines) + "\n"


def verdict(rows: Sequence[Row]) -> str:
    """Compares the network's memory and time with the goals, as ratios to the plain one."""
    plain, ours = rows[0], rows[1]
    less, faster = plain.peak / ours.peak, plain.seconds / ours.seconds
    memory, time = ("met" if got >= goal else "missed" for got, goal in ((less, GOAL_MEMORY), (faster, GOAL_TIME)))
    return (
        f"{ours.implementation}: {less:.2f} times less memory (goal {GOAL_MEMORY:g}: {memory}), "
        f"{faster:.2f} times faster (goal {GOAL_TIME:g}: {time})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", choices=PLAIN, default="autosam", help="teacher family")
    parser.add_argument("--sam", default="vit_b", help="image encoder")
    parser.add_argument("--classes", type=int, default=14)
    parser.add_argument("--patch", type=int, default=64, help="voxels along each side; 128 on a GPU")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=3, help="of all implementations in turn")
    parser.add_argument("--steps", type=int, default=1, help="timed in every process, after one that is not")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("-o", "--output", type=Path, help="Markdown file for the table")
    arguments = parser.parse_args()

    rounds: dict[str, list[Measured]] = {implementation: [] for implementation in IMPLEMENTATIONS}
    pages: dict[str, list[Measured]] = {implementation: [] for implementation in IMPLEMENTATIONS}
    cases: dict[str, Case] = {}
    for number in range(arguments.rounds):
        for implementation in IMPLEMENTATIONS:
            print(f"round {number + 1}: {implementation} …", file=sys.stderr, flush=True)
            case = Case(
                name=arguments.name,
                implementation=implementation,
                sam=arguments.sam,
                classes=arguments.classes,
                patch=arguments.patch,
                batch=arguments.batch,
                device=arguments.device,
                steps=arguments.steps,
                threads=arguments.threads,
            )
            cases[implementation] = case
            rounds[implementation].append(run(case))
            pages[implementation].append(
                run(case, OWN_PAGES) if arguments.device == "cpu" else rounds[implementation][-1]
            )
    if problems := disagreements([result for implementation in IMPLEMENTATIONS for result in rounds[implementation]]):
        raise SystemExit("the implementations do not compute the same:\n" + "\n".join(problems))
    rows = []
    for implementation, results in rounds.items():
        cost = None
        if implementation != "plain":
            cost = predict_cost(
                measured_config(cases[implementation]),
                num_classes=arguments.classes,
                patch=arguments.patch,
                batch=arguments.batch,
            )
        rows.append(
            Row(
                implementation=implementation,
                peak=median([r.peak for r in pages[implementation]]),
                heap=median([r.peak for r in results]),
                seconds=median([r.seconds for r in results]),
                predicted=None if cost is None else above_the_network(cost.memory),
            )
        )
    where = detect().cpu.model if arguments.device == "cpu" else "CUDA"
    text = (
        f"{where}, {arguments.threads} threads; {arguments.name} with {arguments.sam}, {arguments.classes} classes, "
        f"patch {arguments.patch}³, batch {arguments.batch}; forward and backward in float32, "
        f"median of {arguments.rounds} rounds.\n\n"
        f"{table(rows)}\n{verdict(rows)}\n"
    )
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
