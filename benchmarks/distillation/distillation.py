"""Does distillation pay? Students with few labels, alone and taught, at equal training seconds, on patients.

    python benchmarks/distillation/distillation.py OUT --data DATA --labelled 12 [--seeds 0 1 2] [--jobs 2] [--arms ...]

Finished runs are skipped and interrupted ones gone on with, so the same command may be given again after a Ctrl-C, or
with more seeds, arms or numbers of labels. The tables are written anew after every run. README.md says what is compared
how.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from bedside.benchmarks.shared.plan import experiment_parser, given_plan
from bedside.benchmarks.shared.processes import Experiment
from plan import ARMS, ENSEMBLE, ENSEMBLE_SIZE, MAIN_ARMS, Plan, teachers_of
from report import write_report
from step_cost import steps_of_arms
from train_run import is_done

_Run = tuple[str, int, int]


def parse() -> argparse.Namespace:
    parser = experiment_parser(__doc__)
    parser.add_argument("--labelled", type=int, nargs="+", required=True, help="numbers of labelled training cases")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(MAIN_ARMS), help="in this order")
    parser.add_argument("--student", default="unet-edge-base")
    parser.add_argument("--teacher", default="unet-edge-large", help="a student's name, or a teacher family's")
    parser.add_argument("--teacher-seconds", type=float, default=1200, help="CPU seconds of a teacher's training")
    parser.add_argument("--imitation", default="dice-ce")
    parser.add_argument(
        "--teacher-labels",
        choices=("same", "other", "all"),
        default="same",
        help="teachers learn from the student's labelled cases, from the other training cases, or from all of them",
    )
    parser.add_argument(
        "--teacher-run",
        dest="teacher_runs",
        action="append",
        default=[],
        type=lambda path: str(Path(path).resolve()),
        help="run directory or bundle of a teacher, for each teacher; --teacher-labels says what it learned from",
    )
    given = parser.parse_args()
    needed = max(ARMS[arm].teachers for arm in given.arms)
    if given.teacher_runs and len(given.teacher_runs) != needed:
        parser.error(f"the arms need {needed} teachers; --teacher-run gives {len(given.teacher_runs)}")
    return given


def wanted_runs(given: argparse.Namespace) -> list[_Run]:
    """Returns (name, labelled, seed) of every run, teachers before the students that they teach."""
    runs: list[_Run] = []
    teachers = max(ARMS[arm].teachers for arm in given.arms)
    for labelled in given.labelled:
        runs += [("teacher", labelled, seed) for seed in range(teachers)]
        runs += [(ENSEMBLE, labelled, 0)] if teachers == ENSEMBLE_SIZE else []
        runs += [(arm, labelled, seed) for seed in given.seeds for arm in given.arms]
    return runs


class Distillation(Experiment[_Run]):
    """The runs of an output folder; a student needs its teachers."""

    def __init__(self, out: Path) -> None:
        super().__init__(out, Path(__file__).with_name("train_run.py"))

    def is_done(self, run: _Run) -> bool:
        """Returns whether a run is scored."""
        return is_done(self.out, *run)

    def needs(self, run: _Run) -> list[_Run]:
        """Returns a student's teachers."""
        name, labelled, _ = run
        return [("teacher", labelled, seed) for seed in range(teachers_of(name))]


def main() -> None:
    given = parse()
    out: Path = given.out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    plan = given_plan(given, Plan)
    if not (out / "steps.json").exists():
        (out / "steps.json").write_text(json.dumps(steps_of_arms(plan), indent=1))
    runs = wanted_runs(given)
    failed = Distillation(out).run_all(runs, jobs=given.jobs, threads=given.threads, ended=lambda: write_report(out))
    write_report(out)
    print((out / "tables.md").read_text())
    if failed:
        raise SystemExit(f"failed: {failed}; see {out / 'logs'}")


if __name__ == "__main__":
    main()
