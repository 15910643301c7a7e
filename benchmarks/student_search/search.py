"""Which U-Net is the best within a time per window? Random designs, timed on this machine, halved by validation Dice.

    python benchmarks/student_search/search.py OUT --data DATA [--budget 1.0] [--candidates 16] [--rounds 3]

The command may be interrupted and given again. README.md says how the search works.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bedside.benchmarks.shared.plan import experiment_parser, given_plan
from bedside.benchmarks.shared.processes import Experiment
from bedside.distill import STUDENTS
from plan import Plan, drawn_designs, run_folder
from plug_in import with_plug_in, write_plug_in
from relative_time import opened_windows, relative_time
from report import write_report

if TYPE_CHECKING:
    from bedside.distill.students.edge_unet_design import EdgeUNetDesign

_Run = tuple[str, int]
_DRAWN_FOR_EACH = 20  # designs drawn at most for each candidate


class Search(Experiment[_Run]):
    """The trainings of an output folder: a candidate in a round."""

    def __init__(self, out: Path) -> None:
        super().__init__(out, Path(__file__).with_name("train_candidate.py"))

    def is_done(self, run: _Run) -> bool:
        """Returns whether a candidate has its Dice."""
        return (run_folder(self.out, *run) / "dice.json").exists()


def parse() -> argparse.Namespace:
    parser = experiment_parser(__doc__)
    parser.set_defaults(seconds=40.0)
    parser.add_argument("--candidates", type=int, default=16, help="designs in the first round")
    parser.add_argument("--rounds", type=int, default=3, help="each with twice the seconds and half the designs")
    parser.add_argument("--reference", default="unet-edge-base", help="student whose time per window counts as 1")
    parser.add_argument("--budget", type=float, default=1.0, help="most time per window")
    parser.add_argument("--search-seed", type=int, default=0)
    parser.add_argument(
        "--against", nargs="*", default=["unet-edge-base"], help="students that take part in all rounds"
    )
    return parser.parse_args()


def found_candidates(plan: Plan, out: Path) -> dict[str, dict[str, Any]]:
    """Returns name → design and time of the first designs within the budget; kept in ``candidates.json``.

    Raises:
        SystemExit: too few of the designs that were drawn are within the budget.
    """
    file = out / "candidates.json"
    if file.exists():
        return json.loads(file.read_text())
    found: dict[str, dict[str, Any]] = {}
    task = plan.task
    with opened_windows(STUDENTS.find(plan.reference), task.num_classes, task.patch.dhw, plan.threads) as reference:
        for number, design in zip(
            range(plan.candidates * _DRAWN_FOR_EACH), drawn_designs(plan.search_seed), strict=False
        ):
            with opened_windows(_spec(design), task.num_classes, task.patch.dhw, plan.threads) as candidate:
                time = relative_time(candidate, reference, plan.budget)
            print(f"{number}: {time:.2f} {design}", flush=True)
            if plan.budget / 2 <= time <= plan.budget:  # a much cheaper one seldom wins
                found[f"searched_{number}"] = {"time": time, "design": asdict(design)}
            if len(found) == plan.candidates:
                file.write_text(json.dumps(found, indent=1))
                return found
    raise SystemExit(
        f"only {len(found)} designs take {plan.budget / 2} to {plan.budget} of the time; give another --budget"
    )


def _spec(design: EdgeUNetDesign) -> Any:
    from bedside.distill import StudentSpec
    from bedside.distill.students.edge_unet import EdgeUNet

    return StudentSpec(lambda classes: EdgeUNet(classes, design), "a search", design.patch_rule)


def better_half(out: Path, names: Sequence[str], number: int) -> list[str]:
    """Returns the candidates with the higher Dice in a round, the best first."""
    dice = {name: json.loads((run_folder(out, name, number) / "dice.json").read_text()) for name in names}
    return sorted(names, key=lambda name: -dice[name])[: max(1, (len(names) + 1) // 2)]


def main() -> None:
    given = parse()
    out: Path = given.out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    plan = given_plan(given, Plan)
    from bedside.distill.students.edge_unet_design import EdgeUNetDesign

    found = found_candidates(plan, out)
    designs = {
        name: EdgeUNetDesign(**{key: tuple(v) if isinstance(v, list) else v for key, v in of["design"].items()})
        for name, of in found.items()
    }
    write_plug_in(out / "plug_in", designs)
    os.environ.update(with_plug_in(out / "plug_in"))  # of the trainings
    names, search = list(designs), Search(out)
    for number in range(plan.rounds):
        runs: list[_Run] = [(name, number) for name in (*given.against, *names)]
        failed = search.run_all(
            runs, jobs=given.jobs, threads=given.threads, ended=lambda: write_report(out, given.against)
        )
        if failed:
            raise SystemExit(f"failed: {failed}; see {out / 'logs'}")
        names = better_half(out, names, number)
    write_report(out, given.against)
    print((out / "tables.md").read_text())


if __name__ == "__main__":
    main()
