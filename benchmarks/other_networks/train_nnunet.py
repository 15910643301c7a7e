"""Trains a small nnU-Net v2 on a CPU. Runs in an interpreter that has nnunetv2; bedside is not needed there."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NAME = "Dataset001_Other"
SMALLEST_EDGE = 4  # voxels of the coarsest stage along each axis, as nnU-Net's planner has it


def main() -> None:
    """Writes nnU-Net's three folders below the output; the last line printed is the trained folder.

    Started again, it goes on after the last step that was finished: plans, preprocessing, each epoch.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("dataset", type=Path, help="folder with a Decathlon dataset.json")
    parser.add_argument("out", type=Path)
    parser.add_argument("--cases", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=5, help="nnU-Net's own are 1000")
    parser.add_argument("--iterations", type=int, default=60, help="steps of an epoch; nnU-Net's own are 250")
    parser.add_argument("--learning-rate", type=float, default=0.02, help="at the start; nnU-Net's own is 0.01")
    parser.add_argument("--features", type=int, default=8, help="of the first stage; nnU-Net's own are 32")
    parser.add_argument("--patch", type=int, nargs=3, help="z y x instead of the planned one")
    parser.add_argument("--planner", default="ExperimentPlanner", help="nnUNetPlannerResEncM: residual encoder")
    parser.add_argument("--trainer", default="nnUNetTrainerNoDA", help="this one does not augment")
    options = parser.parse_args()
    for folder in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        os.environ[folder] = str(options.out.absolute() / folder)  # nnU-Net reads them at its import
    os.environ.update(nnUNet_n_proc_DA="1")  # the planner takes it for threads
    raw = options.out / "nnUNet_raw" / NAME
    if not (raw / "dataset.json").exists():
        write_raw(options.dataset, raw, options.cases)
    print(train(options, planned(options)))


def write_raw(dataset: Path, raw: Path, cases: int) -> None:
    """Copies the first training cases of a Decathlon data set into nnU-Net's layout."""
    listed = json.loads((dataset / "dataset.json").read_text())
    chosen = listed["training"][:cases]
    for number, case in enumerate(chosen):
        for folder, key, ending in (("imagesTr", "image", "_0000.nii.gz"), ("labelsTr", "label", ".nii.gz")):
            (raw / folder).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(dataset / case[key], raw / folder / f"case_{number:03d}{ending}")
    content = {
        "channel_names": listed["modality"],
        "labels": {name: int(index) for index, name in listed["labels"].items()},
        "numTraining": len(chosen),
        "file_ending": ".nii.gz",
    }
    (raw / "dataset.json").write_text(json.dumps(content))


def planned(options: argparse.Namespace) -> str:
    """Plans and preprocesses, gives the plans the size asked for, and returns their name."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess

    folder = options.out / "nnUNet_preprocessed" / NAME
    found = next(folder.glob("*Plans.json"), None)
    if found is None:
        extract_fingerprints([1], num_processes=1, check_dataset_integrity=False)
        found = folder / f"{plan_experiments([1], options.planner)}.json"
    plans = json.loads(found.read_text())
    configuration = plans["configurations"]["3d_fullres"]
    configuration["patch_size"] = options.patch or configuration["patch_size"]
    shrink(configuration["architecture"]["arch_kwargs"], configuration["patch_size"], options.features)
    found.write_text(json.dumps(plans))
    prepared = folder / configuration["data_identifier"]
    if len([*prepared.glob("*.pkl")]) < options.cases:
        preprocess([1], found.stem, configurations=("3d_fullres",), num_processes=[1])
    return found.stem


def shrink(architecture: dict[str, Any], patch: Sequence[int], features: int) -> None:
    """Gives a network fewer features, and no stage that is smaller than nnU-Net plans them."""
    first = architecture["features_per_stage"][0]
    architecture["features_per_stage"] = [each * features // first for each in architecture["features_per_stage"]]
    sizes, kept = list(patch), 0
    for stride in architecture["strides"]:
        sizes = [size // step for size, step in zip(sizes, stride, strict=True)]
        if min(sizes) < SMALLEST_EDGE:
            break
        kept += 1
    architecture["n_stages"] = kept
    for each in ("features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage", "n_blocks_per_stage"):
        if each in architecture:
            architecture[each] = architecture[each][:kept]
    architecture["n_conv_per_stage_decoder"] = architecture["n_conv_per_stage_decoder"][: kept - 1]


def train(options: argparse.Namespace, plans: str) -> Path:
    """Trains fold 0 of 3d_fullres, and returns the trained folder."""
    import torch
    from nnunetv2.run.run_training import get_trainer_from_args, maybe_load_checkpoint

    os.environ.update(nnUNet_n_proc_DA="0")  # crops are made in this process
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    device = torch.device("cpu")
    trainer = get_trainer_from_args("1", "3d_fullres", 0, options.trainer, plans_identifier=plans, device=device)
    trainer.num_epochs, trainer.num_iterations_per_epoch = options.epochs, options.iterations
    trainer.num_val_iterations_per_epoch, trainer.save_every = 1, 1
    trainer.initial_lr = options.learning_rate
    maybe_load_checkpoint(trainer, continue_training=True, validation_only=False)
    trainer.run_training()
    return Path(trainer.output_folder_base)


if __name__ == "__main__":
    main()
