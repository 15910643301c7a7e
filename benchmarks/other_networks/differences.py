"""Measures what each difference between bedside and nnU-Net's predictor costs; nnU-Net is not needed for it."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from bedside.export.networks import open_nnunet
from bedside.runtime import read_labels, read_volume
from bedside.training.scores.metrics import dice_per_class
from nnunet_steps import BEDSIDE, NNUNET, in_network_axes, labels_of

STEPS = {
    "the image is resampled linearly": replace(NNUNET, cubic=False),
    "intensities are clipped after that, not before": replace(NNUNET, clip_first=False),
    "the grid has the plans' spacing exactly": replace(NNUNET, stretch=False),
    "the last window ends with the scan": replace(NNUNET, spread=False),
    "float32, and bedside's Gaussian": replace(NNUNET, half=False),
    "all five": BEDSIDE,
}


def main() -> None:
    """Prints a Markdown table: the labels of nnU-Net's steps against those with one step replaced by bedside's."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("trained", type=Path, help="folder TRAINER__PLANS__CONFIGURATION")
    parser.add_argument("scans", type=Path, nargs="+")
    parser.add_argument("--orientation", default="RAS", help="axes of the training scans")
    parser.add_argument("--fold", default="0")
    parser.add_argument("--predicted", type=Path, help="folder with label maps of nnU-Net's own predictor")
    options = parser.parse_args()
    network = open_nnunet(options.trained, fold=options.fold, orientation=options.orientation)
    task = network.task
    print(f"| scan | what differs | same label | {' | '.join(task.labels[1:])} |")
    print(f"| -- | -- | -- |{' -- |' * (task.num_classes - 1)}")
    for path in options.scans:
        scan = read_volume(path)
        expected = labels_of(network.model, task, scan, NNUNET)
        others = {what: labels_of(network.model, task, scan, steps) for what, steps in STEPS.items()}
        if options.predicted is not None:
            theirs = in_network_axes(read_labels(options.predicted / path.name), task)[0]
            others = {"nnU-Net itself": theirs, **others}
        for what, labels in others.items():
            dice = dice_per_class(labels, expected, task.num_classes)[1:]
            row = [f"{100 * np.mean(labels == expected):.3f} %", *(f"{value:.4f}" for value in dice)]
            print(f"| {path.name} | {what} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
