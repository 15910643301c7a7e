"""Which student for which budget? All students, trained for equal CPU seconds: Dice against milliseconds per window.

    python benchmarks/students/students.py OUT --data DATA [--students NAME ...] [--seeds 0 1 2] [--jobs 2]

Finished runs are skipped and interrupted ones gone on with, so the same command may be given again after a Ctrl-C, or
with more seeds or students. Tables and picture are written anew at the end. README.md says what is compared how.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bedside.benchmarks.shared.plan import experiment_parser, given_plan
from bedside.benchmarks.shared.processes import Experiment
from bedside.distill import STUDENTS
from plan import Plan, is_done
from report import write_report
from step_cost import steps_of_students

_Run = tuple[str, int]


class Students(Experiment[_Run]):
    """The runs of an output folder."""

    def __init__(self, out: Path) -> None:
        super().__init__(out, Path(__file__).with_name("student_run.py"))

    def is_done(self, run: _Run) -> bool:
        """Returns whether a run is trained, exported and scored."""
        return is_done(self.out, *run)


def parse() -> argparse.Namespace:
    parser = experiment_parser(__doc__)
    parser.add_argument("--students", nargs="+", default=list(STUDENTS), help="in this order; else all")
    return parser.parse_args()


def count_steps(plan: Plan, out: Path, students: Sequence[str]) -> None:
    """Writes the steps of each student to ``steps.json``; those of students added later are timed then."""
    file = out / "steps.json"
    known: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    added = [student for student in students if student not in known]
    if added:
        file.write_text(json.dumps(known | steps_of_students(plan, added), indent=1))


def measure_latencies(out: Path, students: Sequence[str], seeds: Sequence[int], threads: int) -> None:
    """Measures all students side by side, those of earlier calls too, unless that has been done for all of them."""
    file = out / "latency.json"
    known = json.loads(file.read_text()).keys() if file.exists() else set[str]()
    every = sorted({*seeds, *(int(folder.name.rpartition("_")[2]) for folder in (out / "runs").glob("*_*"))})
    asked = dict.fromkeys([*known, *students])
    finished = [name for name in asked if any(is_done(out, name, seed) for seed in every)]
    if finished and not set(finished) <= set(known):
        program = Path(__file__).with_name("latency.py")
        command = [sys.executable, program, out, *finished, "--seeds", *map(str, every)]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": str(threads)})


def main() -> None:
    given = parse()
    out: Path = given.out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    plan = given_plan(given, Plan)
    for student in given.students:
        STUDENTS.find(student)
    count_steps(plan, out, given.students)
    runs = [(student, seed) for seed in given.seeds for student in given.students]
    failed = Students(out).run_all(runs, jobs=given.jobs, threads=given.threads, ended=lambda: None)
    measure_latencies(out, given.students, given.seeds, given.threads)
    write_report(out)
    print((out / "tables.md").read_text())
    if failed:
        raise SystemExit(f"failed: {failed}; see {out / 'logs'}")


if __name__ == "__main__":
    main()
