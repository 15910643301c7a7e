"""Trains nnU-Net v2 on an experiment's labels for a number of CPU seconds, and scores it on the same test cases.

    pip install nnunetv2
    python benchmarks/distillation/nnunet_peer.py OUT --labelled 12 --seconds 500 [--seed 0] [--keep-sides]

OUT is a folder of `distillation.py`, whose data lists and ``runs`` this program uses: the result is the run ``nnunet``
there, a row of the same table. nnU-Net plans ``3d_fullres`` by itself and trains it with its own loss, augmentation and
optimiser; its learning rate decays over the seconds instead of over 1,000 epochs. Augmentation runs in the training's
own process, so that its CPU seconds count. Planning, preprocessing and prediction do not count. With ``--keep-sides``
nothing is mirrored left/right, for tasks with paired organs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from bedside.benchmarks.shared.plan import load_plan
from bedside.benchmarks.shared.scores import evaluate_test_cases
from plan import Plan, write_list
from train_run import run_folder

_DATASET = "Dataset001_peer"
_SIDES = 2  # of the axes [z, y, x] in which nnU-Net reads a scan, the one that mirrors left and right
_CHANNELS = {"CT": "CT", "MR": "MRI"}  # modality → nnU-Net's name, which decides how it normalises


def write_raw_data(plan: Plan, listed: dict[str, Any], raw: Path) -> None:
    """Writes the labelled training cases as nnU-Net reads them; images and labels are links to the data set's."""
    folder = raw / _DATASET
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for entry in listed["training"]:
        name = Path(entry["image"]).name.removesuffix(".nii.gz")
        for link, target in (
            (folder / "imagesTr" / f"{name}_0000.nii.gz", entry["image"]),
            (folder / "labelsTr" / f"{name}.nii.gz", entry["label"]),
        ):
            link.unlink(missing_ok=True)
            link.symlink_to(target)
    content = {
        "channel_names": {"0": _CHANNELS[plan.task.modality]},
        "labels": {name: index for index, name in enumerate(plan.task.labels)},
        "numTraining": len(listed["training"]),
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(content, indent=1))


def train(preprocessed: Path, seconds: float, seed: int, keep_sides: bool) -> Any:
    """Trains ``3d_fullres`` on all cases for so many CPU seconds and returns nnU-Net's trainer."""
    import torch
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    np.random.seed(seed)
    torch.manual_seed(seed)
    plans = json.loads((preprocessed / _DATASET / "nnUNetPlans.json").read_text())
    plans["continue_training"] = False  # read by nnU-Net 2.8
    dataset = json.loads((preprocessed / _DATASET / "dataset.json").read_text())

    class Trainer(nnUNetTrainer):
        def configure_rotation_dummyDA_mirroring_and_inital_patch_size(  # noqa: N802 - the name that nnU-Net calls
            self,
        ) -> tuple[Any, ...]:
            *others, axes = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
            if keep_sides:
                sides = self.plans_manager.transpose_forward.index(_SIDES)
                axes = tuple(axis for axis in axes if axis != sides)
                self.inference_allowed_mirroring_axes = axes
            return (*others, axes)

    trainer = Trainer(plans, "3d_fullres", "all", dataset, device=torch.device("cpu"))
    trainer.on_train_start()
    trainer.network.train()
    begun, steps = time.process_time(), 0
    while (spent := time.process_time() - begun) < seconds:
        for group in trainer.optimizer.param_groups:
            group["lr"] = trainer.initial_lr * (1 - spent / seconds) ** 0.9
        loss = trainer.train_step(next(trainer.dataloader_train))["loss"]
        steps += 1
        if steps % 10 == 0:
            print(f"{spent:.0f} of {seconds:.0f} s, step {steps}, loss {float(loss):.3f}", flush=True)
    print(f"{steps} steps", flush=True)
    return trainer


def segment(trainer: Any, images: list[Path], predictions: Path) -> None:
    """Writes label maps as nnU-Net does by default: windows that overlap by half, mirrored where training mirrors."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()
    predictor = nnUNetPredictor(
        tile_step_size=0.5, use_mirroring=True, perform_everything_on_device=False, device=torch.device("cpu")
    )
    predictor.manual_initialization(
        trainer.network,
        trainer.plans_manager,
        trainer.configuration_manager,
        [trainer.network.state_dict()],
        trainer.dataset_json,
        type(trainer).__name__,
        trainer.inference_allowed_mirroring_axes,
    )
    targets = [str(predictions / image.name.removesuffix(".nii.gz")) for image in images]
    predictor.predict_from_files_sequential([[str(image)] for image in images], targets)
    for file in predictions.glob("*.json"):  # nnU-Net's own; with them the folder looks like a data set
        file.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--labelled", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep-sides", action="store_true", help="no mirroring of left and right")
    given = parser.parse_args()
    plan, out = load_plan(given.out, Plan), given.out.resolve()
    list_file = write_list(plan, out, given.labelled)
    listed = json.loads(list_file.read_text())
    folder = run_folder(out, "nnunet", given.labelled, given.seed)
    work = {name: folder / name for name in ("raw", "preprocessed", "results")}
    for name, path in work.items():
        path.mkdir(parents=True, exist_ok=True)
        os.environ[f"nnUNet_{name}"] = str(path)
    os.environ |= {"nnUNet_n_proc_DA": "0", "OMP_NUM_THREADS": str(plan.threads)}
    write_raw_data(plan, listed, work["raw"])
    program = shutil.which("nnUNetv2_plan_and_preprocess", path=str(Path(sys.executable).parent))
    if program is None:
        raise SystemExit("nnU-Net is not installed: pip install nnunetv2")
    planning = {**os.environ, "nnUNet_n_proc_DA": "1"}  # its planner gives torch as many threads: not none
    subprocess.run([program, "-d", "1", "-c", "3d_fullres", "-np", "1", "-npfp", "1"], check=True, env=planning)
    import torch

    torch.set_num_threads(plan.threads)
    trainer = train(work["preprocessed"], given.seconds, given.seed, given.keep_sides)
    (folder / "predictions").mkdir(exist_ok=True)
    segment(trainer, [Path(entry["image"]) for entry in listed["testing"]], folder / "predictions")
    evaluate_test_cases(folder / "predictions", list_file, Path(plan.data) / "task.toml", folder / "scores.csv")


if __name__ == "__main__":
    main()
