"""Trains an nnU-Net v2 for one short epoch. Runs in an interpreter that has nnunetv2; bedside is not needed there."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path

NAME = "Dataset001_Other"


def main() -> None:
    """Writes nnU-Net's three folders below the output; the last line printed is the trained folder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("dataset", type=Path, help="folder with a Decathlon dataset.json")
    parser.add_argument("out", type=Path)
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=100, help="steps of the one epoch; nnU-Net's own are 250")
    parser.add_argument("--features", type=int, default=8, help="of the first stage; nnU-Net's own are 32")
    parser.add_argument("--patch", type=int, nargs=3, help="z y x instead of the planned one")
    parser.add_argument("--planner", default="ExperimentPlanner", help="nnUNetPlannerResEncM: residual encoder")
    options = parser.parse_args()
    for folder in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        os.environ[folder] = str(options.out.absolute() / folder)  # nnU-Net reads them at its import
    write_raw(options.dataset, options.out / "nnUNet_raw" / NAME, options.cases)
    print(train(options))


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


def train(options: argparse.Namespace) -> Path:
    """Plans, preprocesses and trains fold 0 of 3d_fullres on the CPU, and returns the trained folder."""
    import torch
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess
    from nnunetv2.run.run_training import get_trainer_from_args

    extract_fingerprints([1], num_processes=1, check_dataset_integrity=False)
    name = plan_experiments([1], options.planner)
    path = options.out / "nnUNet_preprocessed" / NAME / f"{name}.json"
    plans = json.loads(path.read_text())
    configuration = plans["configurations"]["3d_fullres"]
    features = configuration["architecture"]["arch_kwargs"]["features_per_stage"]
    configuration["architecture"]["arch_kwargs"]["features_per_stage"] = [
        each * options.features // features[0] for each in features
    ]
    configuration["patch_size"] = options.patch or configuration["patch_size"]
    path.write_text(json.dumps(plans))
    preprocess([1], name, configurations=("3d_fullres",), num_processes=[1])

    os.environ.update(nnUNet_n_proc_DA="0")  # crops are augmented in this process
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    trainer = get_trainer_from_args("1", "3d_fullres", 0, plans_identifier=name, device=torch.device("cpu"))
    trainer.num_epochs, trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch = (
        1,
        options.iterations,
        1,
    )
    trainer.run_training()
    return Path(trainer.output_folder_base)


if __name__ == "__main__":
    main()
