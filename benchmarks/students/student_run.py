"""One run: a student is trained, exported in fp32 and int8, and scored on the test cases as devices would run it.

    python benchmarks/students/student_run.py OUT STUDENT SEED

`students.py` starts it. An interrupted run is gone on with; ``scores-int8.csv`` is there when it is done.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bedside.benchmarks.shared.plan import load_plan
from bedside.benchmarks.shared.scores import evaluate_test_cases
from plan import PRECISIONS, Plan, run_folder, scores_file

_ENGINE = "openvino"  # of the label maps; engines agree, which the export measures
_OVERLAP = 0.5  # of windows, for all students alike


def train(plan: Plan, out: Path, student: str, seed: int) -> None:
    """Trains a student on labels alone, for the steps that its seconds permit."""
    from bedside.distill import distill
    from bedside.training.data.dataset import load_dataset
    from bedside.training.loop.hardware import Hardware

    steps = json.loads((out / "steps.json").read_text())
    task, folder = plan.task_of(student), run_folder(out, student, seed)
    distill(
        load_dataset(Path(plan.data), labels=task.labels),
        folder / "run",
        student=student,
        lam=1.0,
        teacher=None,
        task=task,
        recipe=plan.recipe(seed, steps[student]),
        prepared_cases=out / "cases",
        resume=(folder / "run" / "config.toml").exists(),
        hardware=Hardware("cpu"),
        progress=lambda done, total, note="": done % 50 or print(f"{done}/{total} {note}", flush=True),
    )


def export(plan: Plan, folder: Path) -> None:
    """Writes the bundle, calibrated on training scans and judged on test scans; variants that fail stay in."""
    from bedside.distill import load_student
    from bedside.export import ExportOptions, export_bundle

    options = ExportOptions(dataset=plan.data, keep_failed=True, overlap=_OVERLAP, threads=plan.threads, force=True)
    export_bundle(load_student(folder / "run"), folder / "student.bedside", options)


def score(plan: Plan, folder: Path) -> None:
    """Segments the test cases with the bundle in each precision, and has `bedside evaluate` score the label maps."""
    from bedside.runtime import Segmenter
    from bedside.training.data.dataset import load_dataset

    data = Path(plan.data)
    for precision in PRECISIONS:
        predictions = folder / precision
        predictions.mkdir(exist_ok=True)
        with Segmenter.load(folder / "student.bedside", _ENGINE, precision, threads=plan.threads) as segmenter:
            for case in load_dataset(data, labels=plan.task.labels).test:
                file = predictions / case.image.name
                if not file.exists():
                    segmenter.segment(case.image).save(file)
        evaluate_test_cases(predictions, data, data / "task.toml", scores_file(folder, precision))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("student")
    parser.add_argument("seed", type=int)
    given = parser.parse_args()
    import torch

    plan, folder = load_plan(given.out, Plan), run_folder(given.out, given.student, given.seed)
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(plan.threads)
    if not (folder / "student.bedside").exists():
        train(plan, given.out, given.student, given.seed)
        export(plan, folder)
    score(plan, folder)


if __name__ == "__main__":
    main()
