"""One training of a candidate in one round of the search; its best validation Dice is kept.

    python benchmarks/student_search/train_candidate.py OUT STUDENT ROUND

`search.py` starts it, with the candidates' plug-in on ``PYTHONPATH``. An interrupted run is gone on with.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bedside.benchmarks.shared.plan import load_plan
from bedside.benchmarks.shared.step_seconds import fastest_seconds, training_step
from plan import Plan, run_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("student")
    parser.add_argument("round", type=int)
    given = parser.parse_args()
    import torch
    from bedside.distill import STUDENTS, DistillationLoss, build_student, distill
    from bedside.training.data.dataset import load_dataset
    from bedside.training.loop.hardware import Hardware

    plan, run = load_plan(given.out, Plan), run_folder(given.out, given.student, given.round)
    torch.set_num_threads(plan.threads)
    patch = STUDENTS.find(given.student).patch_rule.covering(plan.task.patch.dhw)
    task = plan.task.replaced(patch=patch.xyz)
    run.mkdir(parents=True, exist_ok=True)
    count = run / "steps.json"
    if not count.exists():
        network = build_student(given.student, num_classes=task.num_classes)
        loss = DistillationLoss(1.0, balanced=plan.balanced)
        step = training_step(network, loss, task.num_classes, task.patch.dhw, plan)
        seconds = fastest_seconds({"step": step})["step"]
        count.write_text(json.dumps(max(1, round(plan.seconds * 2**given.round / seconds))))
    result = distill(
        load_dataset(Path(plan.data), labels=task.labels),
        run / "run",
        student=given.student,
        lam=1.0,
        teacher=None,
        task=task,
        recipe=plan.recipe(given.round, json.loads(count.read_text())),
        prepared_cases=given.out / "cases",
        resume=(run / "run" / "config.toml").exists(),
        hardware=Hardware("cpu"),
        progress=lambda done, total, note="": done % 50 or print(f"{done}/{total} {note}", flush=True),
    )
    (run / "dice.json").write_text(json.dumps(result.best))


if __name__ == "__main__":
    main()
