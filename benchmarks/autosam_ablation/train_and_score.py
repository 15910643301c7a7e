"""One network, one seed: trained, then scored on the test phantoms.

    python benchmarks/autosam_ablation/train_and_score.py OUT ROW SEED

`ablation.py` starts it. What an interrupted run has learnt is gone on with; ``scores.csv`` is there when it is done.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import time
from pathlib import Path

from networks import ROWS
from plan import load_plan
from step_cost import clock, epochs_of

_TEST_OVERLAP = 0.5


def run_folder(out: Path, name: str, seed: int) -> Path:
    return out / "runs" / f"{name}_{seed}"


def train(out: Path, name: str, seed: int) -> None:
    """Trains as `train_teacher` does, writes label maps of the test phantoms, and has `bedside evaluate` score them."""
    import torch
    from bedside.runtime.scans.nifti import write_volume
    from bedside.training.data.crops import CropSource
    from bedside.training.data.dataset import load_dataset
    from bedside.training.job import TrainingJob
    from bedside.training.loop.checkpoint import load_weights
    from bedside.training.loop.fit import TrainingSetup, fit
    from bedside.training.loop.hardware import make_fabric
    from bedside.training.loop.losses import segmentation_loss
    from bedside.training.loop.process_group import ProcessGroup
    from bedside.training.loop.validate import segment_scan
    from bedside.training.prepared_run import MethodRecord, prepare_run

    plan, row, folder = load_plan(out), ROWS[name], run_folder(out, name, seed)
    torch.set_num_threads(plan.threads)
    task = plan.task
    recipe = plan.recipe(seed, epochs_of(name, plan, out))
    dataset = load_dataset(out / "data")
    fabric = make_fabric(plan.device, recipe.precision)
    fabric.seed_everything(seed, verbose=False)
    model = row.build(plan, task)
    folder.mkdir(parents=True, exist_ok=True)
    loss = segmentation_loss()

    def objective(logits: torch.Tensor, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"labels": loss(logits, batch["label"])}

    def report(done: int, total: int, note: str) -> None:
        if done % plan.steps_per_epoch == 0 and note.startswith("loss"):
            print(f"{time.strftime('%H:%M:%S')} step {done}/{total} {note}", flush=True)

    job = TrainingJob(dataset=dataset, task=task, out=folder / "run", recipe=recipe, resume=True)
    with prepare_run(job, MethodRecord(row.config(plan)), ProcessGroup(fabric)) as prepared:
        begun = clock(plan.device)
        try:
            sources = [CropSource(case) for case in prepared.train]
            setup = TrainingSetup(model=model, objective=objective, sources=sources, validation=prepared.validation)
            result = fit(prepared.run, setup, fabric, progress=report)
        finally:  # the seconds of an interrupted run count too
            with (folder / "seconds.txt").open("a", encoding="utf-8") as file:
                file.write(f"{clock(plan.device) - begun:.1f}\n")

    load_weights(prepared.run.best, model)
    model.eval()
    predictions = folder / "predictions"
    predictions.mkdir(exist_ok=True)
    for case in dataset.test:
        labels, grid = segment_scan(model, case.image, task, overlap=_TEST_OVERLAP, device=fabric.device)
        write_volume(predictions / case.image.name, labels, grid)
    facts = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "trainable": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "steps": recipe.epochs * plan.steps_per_epoch,
        "validation_dice": result.best,
    }
    (folder / "facts.json").write_text(json.dumps(facts, indent=1))
    scores = folder / "scores.csv"
    command = [sys.executable, "-m", "bedside", "evaluate", "-p", predictions, "--dataset", out / "data"]
    command += ["--list", "test", "-q", "--tolerance", str(plan.tolerance_mm), "--csv", scores]
    subprocess.run(command, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("row", choices=list(ROWS))
    parser.add_argument("seed", type=int)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train(arguments.out, arguments.row, arguments.seed)


if __name__ == "__main__":
    main()
