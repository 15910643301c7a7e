"""One run: a teacher is trained and segments the test cases, or the three of a seed do so together.

    python benchmarks/teachers/teacher_run.py OUT ROW SEED

`teachers.py` starts it. An interrupted run is gone on with; ``scores.csv`` is there when it is done.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from bedside.benchmarks.shared.networks import mean_network, segment_test_cases
from bedside.benchmarks.shared.plan import load_plan
from bedside.benchmarks.shared.scores import evaluate_test_cases
from plan import ENSEMBLE, ROWS, TEACHERS, Plan, run_folder, scores_file

if TYPE_CHECKING:
    import torch
    from bedside.training.data.dataset import Dataset


def trained(plan: Plan, dataset: Dataset, out: Path, name: str, seed: int) -> torch.nn.Module:
    """Returns the network of a row, trained for the steps that its seconds permit, or the mean of the three."""
    from bedside.teacher.train import load_teacher, train_teacher
    from bedside.training.loop.hardware import Hardware

    if name == ENSEMBLE:
        return mean_network([run_folder(out, teacher, seed) / "run" for teacher in TEACHERS])
    run, steps = run_folder(out, name, seed) / "run", json.loads((out / "steps.json").read_text())
    row = ROWS[name]
    train_teacher(
        dataset,
        plan.task,
        run,
        config=plan.config_of(row),
        recipe=plan.recipe_of(row, seed, steps[name]),
        hardware=Hardware("cpu"),
        prepared_cases=out / "cases",
        resume=(run / "config.toml").exists(),
        progress=lambda done, total, note="": done % 20 or print(f"{done}/{total} {note}", flush=True),
    )
    return load_teacher(run)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("name", choices=[*ROWS, ENSEMBLE])
    parser.add_argument("seed", type=int)
    given = parser.parse_args()
    import torch
    from bedside.training.data.dataset import load_dataset

    plan, folder = load_plan(given.out, Plan), run_folder(given.out, given.name, given.seed)
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(plan.threads)
    data = Path(plan.data)
    dataset = load_dataset(data, labels=plan.task.labels)
    network = trained(plan, dataset, given.out, given.name, given.seed)
    seconds = segment_test_cases(network, plan.task, dataset, folder / "predictions", overlap=plan.overlap)
    if seconds == seconds:  # NaN: all were there already
        (folder / "scan_seconds.txt").write_text(f"{seconds:.3f}\n")
    evaluate_test_cases(
        folder / "predictions", data, data / "task.toml", scores_file(given.out, given.name, given.seed)
    )


if __name__ == "__main__":
    main()
