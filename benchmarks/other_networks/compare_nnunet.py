"""Compares the labels of a bundle that was exported from an nnU-Net v2 with those of nnU-Net's own predictor."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from bedside.export import ExportOptions, export_bundle
from bedside.export.networks import open_nnunet
from bedside.runtime import Segmenter, read_labels
from bedside.training.scores.metrics import dice_per_class
from numpy.typing import NDArray


def main() -> None:
    """Prints a Markdown table: for each scan, the share of voxels with the same label, and the Dice of each class.

    Three figures of a class are the Dice between the programs and, where reference labels are given, of nnU-Net's and
    of bedside's labels against them.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("trained", type=Path, help="folder TRAINER__PLANS__CONFIGURATION")
    parser.add_argument("scans", type=Path, nargs="+")
    parser.add_argument("--nnunet-python", required=True, help="interpreter that has nnunetv2")
    parser.add_argument("--orientation", default="RAS", help="axes of the training scans")
    parser.add_argument("--fold", default="0")
    parser.add_argument("--labels", type=Path, help="folder with reference labels, named like the scans")
    parser.add_argument("--predicted", type=Path, help="folder for nnU-Net's label maps; those there are not repeated")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundle, theirs = Path(folder, "other.bedside"), options.predicted or Path(folder, "theirs")
        network = open_nnunet(options.trained, fold=options.fold, orientation=options.orientation)
        export_bundle(network, bundle, ExportOptions(precisions=["fp32"], threads=1))
        missing = [scan for scan in options.scans if not (theirs / scan.name).exists()]
        script = Path(__file__).with_name("predict_nnunet.py")
        command = [options.nnunet_python, script, options.trained, options.fold, theirs, *missing]
        if missing:
            subprocess.run([str(word) for word in command], check=True, stdout=sys.stderr)
        labels = network.task.labels
        print(f"| scan | same label | {' | '.join(labels[1:])} |")
        print(f"| -- | -- |{' -- |' * (len(labels) - 1)}")
        with Segmenter.load(bundle, "onnxruntime", "fp32", threads=1) as segmenter:
            for scan in options.scans:
                ours = segmenter.segment(scan, skip_air=False).labels
                other = read_labels(theirs / scan.name).data
                pairs = [(ours, other)]
                if options.labels is not None and (options.labels / scan.name).exists():
                    truth = read_labels(options.labels / scan.name).data
                    pairs += [(other, truth), (ours, truth)]
                row = [f"{100 * np.mean(ours == other):.3f} %", *dice_cells(pairs, len(labels))]
                print(f"| {scan.name} | {' | '.join(row)} |", flush=True)


def dice_cells(pairs: list[tuple[NDArray[np.integer], NDArray[np.integer]]], num_classes: int) -> list[str]:
    """Returns a cell for each class but the background, with the Dice of each pair of label maps."""
    scores = np.stack([dice_per_class(pred, truth, num_classes)[1:] for pred, truth in pairs], axis=1)
    return [", ".join("–" if np.isnan(value) else f"{value:.3f}" for value in each) for each in scores]


if __name__ == "__main__":
    main()
