"""Which teacher is the best, and does their mean beat it? Three ways to make SAM see volumes, on patients.

    python benchmarks/teachers/teachers.py OUT --data DATA [--rows ROW ...] [--seeds 0 1 2] [--jobs 2]

Every row trains for equal CPU seconds. Finished runs are skipped and interrupted ones gone on with, so the same command
may be given again after a Ctrl-C, or with more seeds or rows. The tables are written anew after every run. README.md
says what is compared how.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from bedside.benchmarks.shared.plan import experiment_parser, given_plan
from bedside.benchmarks.shared.processes import Experiment
from plan import ENSEMBLE, ROWS, TEACHERS, Plan, scores_file
from report import write_report
from step_cost import steps_of_rows

_Run = tuple[str, int]


class Teachers(Experiment[_Run]):
    """The runs of an output folder; the ensemble of a seed needs its three teachers."""

    def __init__(self, out: Path) -> None:
        super().__init__(out, Path(__file__).with_name("teacher_run.py"))

    def is_done(self, run: _Run) -> bool:
        """Returns whether a run is scored."""
        return scores_file(self.out, *run).exists()

    def needs(self, run: _Run) -> list[_Run]:
        """Returns the three teachers, for the ensemble."""
        name, seed = run
        return [(teacher, seed) for teacher in TEACHERS] if name == ENSEMBLE else []


def parse() -> argparse.Namespace:
    parser = experiment_parser(__doc__)
    parser.set_defaults(lr=0.002)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), help="in this order; else all")
    parser.add_argument("--sam", default="vit_nano", help="size of SAM's encoder, with random weights")
    parser.add_argument("--enlarge", type=int, default=2, help="pixels per voxel, for the two that see slices")
    parser.add_argument("--overlap", type=float, default=0.5, help="of neighbouring windows, on the test cases")
    return parser.parse_args()


def count_steps(plan: Plan, out: Path, names: Sequence[str]) -> None:
    """Writes the steps that each row makes in its seconds to ``steps.json``; rows added later are timed then."""
    file = out / "steps.json"
    known: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    added = [name for name in names if name not in known]
    if added:
        file.write_text(json.dumps(known | steps_of_rows(plan, added), indent=1))


def main() -> None:
    given = parse()
    out: Path = given.out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    plan = given_plan(given, Plan)
    count_steps(plan, out, given.rows)
    runs: list[_Run] = []
    for seed in given.seeds:
        runs += [(name, seed) for name in given.rows]
        runs += [(ENSEMBLE, seed)] if set(TEACHERS) <= set(given.rows) else []
    failed = Teachers(out).run_all(runs, jobs=given.jobs, threads=given.threads, ended=lambda: write_report(out))
    write_report(out)
    print((out / "tables.md").read_text())
    if failed:
        raise SystemExit(f"failed: {failed}; see {out / 'logs'}")


if __name__ == "__main__":
    main()
