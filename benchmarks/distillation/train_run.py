"""One run: trained, then scored on the test cases.

    python benchmarks/distillation/train_run.py OUT NAME LABELLED SEED

NAME is ``teacher``, an arm, or ``teachers``: the mean of all teachers, which is scored and trains nothing.
`distillation.py` starts it. An interrupted run is gone on with; ``scores.csv`` is there when a run is done.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bedside.benchmarks.shared.networks import mean_network, segment_test_cases
from bedside.benchmarks.shared.plan import load_plan
from bedside.benchmarks.shared.scores import evaluate_test_cases
from bedside.runtime.errors import UsageError
from plan import ARMS, ENSEMBLE, Plan, teachers_of, write_list

if TYPE_CHECKING:
    import torch
    from bedside.runtime.task import Task


def run_folder(out: Path, name: str, labelled: int, seed: int) -> Path:
    return out / "runs" / f"{name}_{labelled}_{seed}"


def is_done(out: Path, name: str, labelled: int, seed: int) -> bool:
    return (run_folder(out, name, labelled, seed) / "scores.csv").exists()


def teachers_runs(out: Path, name: str, labelled: int) -> list[Path]:
    """Returns the run directories of the teachers that a run needs."""
    return [run_folder(out, "teacher", labelled, number) / "run" for number in range(teachers_of(name))]


def train(plan: Plan, out: Path, name: str, labelled: int, seed: int) -> None:
    """Trains a teacher or a student as the commands do; a trained teacher is linked."""
    from bedside.distill import STUDENTS, distill
    from bedside.teacher import teacher_config
    from bedside.teacher.train import train_teacher
    from bedside.training.data.dataset import load_dataset
    from bedside.training.loop.hardware import Hardware

    folder = run_folder(out, name, labelled, seed)
    if name == "teacher" and plan.teacher_runs:
        (folder / "run").unlink(missing_ok=True)
        (folder / "run").symlink_to(plan.teacher_runs[seed])
        return
    steps = json.loads((out / "steps.json").read_text())
    cases = write_list(plan, out, labelled, for_teacher=name == "teacher")
    dataset = load_dataset(cases, labels=plan.task.labels)
    common = {
        "prepared_cases": out / "cases",
        "resume": (folder / "run" / "config.toml").exists(),
        "hardware": Hardware("cpu"),
        "progress": lambda done, total, note="": done % 50 or print(f"{done}/{total} {note}", flush=True),
    }
    arm = ARMS.get(name)
    recipe = plan.recipe(seed, steps[name])
    if arm is not None:
        recipe = plan.recipe(seed, steps[name], arm.unlabelled, turns=arm.turns, mirrored=arm.mirrored)
    if arm is None and plan.teacher not in STUDENTS.own:
        config = teacher_config(plan.teacher)
        train_teacher(dataset, plan.task, folder / "run", config=config, recipe=recipe, **common)
        return
    distill(
        dataset,
        folder / "run",
        student=plan.teacher if arm is None else plan.student,
        lam=1.0 if arm is None else arm.lam,
        teacher=teachers_runs(out, name, labelled) or None,
        task=plan.task,
        imitation=plan.imitation if arm is None else arm.imitation or plan.imitation,
        targets="cached" if arm is None else arm.targets,
        pseudo_labels=arm is not None and arm.pseudo_labels,
        recipe=recipe,
        **common,
    )


def trained_network(plan: Plan, out: Path, name: str, labelled: int, seed: int) -> tuple[torch.nn.Module, Task]:
    """Returns a run's network in evaluation mode, or that of the mean of all teachers, and its task."""
    from bedside.distill.teacher import Teacher
    from bedside.distill.teacher_task import task_of_teacher

    if name == ENSEMBLE:
        runs = teachers_runs(out, name, labelled)
        tasks = [task_of_teacher(run) for run in runs]
        if any(task.preparation != tasks[0].preparation or task.patch != tasks[0].patch for task in tasks):
            raise UsageError("the teachers prepare scans differently, and the network of their mean needs one way")
        return mean_network(runs), tasks[0]
    trained = Teacher.open(run_folder(out, name, labelled, seed) / "run")
    return trained.network, trained.task


def score(plan: Plan, out: Path, name: str, labelled: int, seed: int) -> None:
    """Writes label maps of the test cases and has `bedside evaluate` score them."""
    from bedside.training.data.dataset import load_dataset

    network, task = trained_network(plan, out, name, labelled, seed)
    folder = run_folder(out, name, labelled, seed)
    data = write_list(plan, out, labelled)
    segment_test_cases(network, task, load_dataset(data, labels=plan.task.labels), folder / "predictions")
    evaluate_test_cases(folder / "predictions", data, Path(plan.data) / "task.toml", folder / "scores.csv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("name")
    parser.add_argument("labelled", type=int)
    parser.add_argument("seed", type=int)
    given = parser.parse_args()
    import torch

    plan, folder = load_plan(given.out, Plan), run_folder(given.out, given.name, given.labelled, given.seed)
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(plan.threads)
    begun = time.process_time()
    try:
        if given.name != ENSEMBLE:
            train(plan, given.out, given.name, given.labelled, given.seed)
    finally:  # the seconds of an interrupted run count too; preparation, targets and validation are among them
        with (folder / "seconds.txt").open("a", encoding="utf-8") as file:
            file.write(f"{time.process_time() - begun:.1f}\n")
    score(plan, given.out, given.name, given.labelled, given.seed)


if __name__ == "__main__":
    main()
