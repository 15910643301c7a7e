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


def main() -> None:
    """Prints a Markdown table: for each scan, the share of voxels with the same label, and the Dice of each class."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("trained", type=Path, help="folder TRAINER__PLANS__CONFIGURATION")
    parser.add_argument("scans", type=Path, nargs="+")
    parser.add_argument("--nnunet-python", required=True, help="interpreter that has nnunetv2")
    parser.add_argument("--orientation", default="RAS", help="axes of the training scans")
    parser.add_argument("--fold", default="0")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundle, theirs = Path(folder, "other.bedside"), Path(folder, "theirs")
        network = open_nnunet(options.trained, fold=options.fold, orientation=options.orientation)
        export_bundle(network, bundle, ExportOptions(precisions=["fp32"], threads=1))
        script = Path(__file__).with_name("predict_nnunet.py")
        command = [options.nnunet_python, script, options.trained, options.fold, theirs, *options.scans]
        subprocess.run([str(word) for word in command], check=True, stdout=sys.stderr)
        labels = network.task.labels
        print(f"| scan | same label | {' | '.join(labels[1:])} |")
        print(f"| -- | -- |{' -- |' * (len(labels) - 1)}")
        with Segmenter.load(bundle, "onnxruntime", "fp32", threads=1) as segmenter:
            for scan in options.scans:
                ours = segmenter.segment(scan, skip_air=False).labels
                other = read_labels(theirs / scan.name).data
                dice = dice_per_class(ours, other, len(labels))[1:]
                row = [f"{100 * np.mean(ours == other):.3f} %", *(f"{value:.4f}" for value in dice)]
                print(f"| {scan.name} | {' | '.join(row)} |")


if __name__ == "__main__":
    main()
