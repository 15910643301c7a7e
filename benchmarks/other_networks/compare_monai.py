"""Compares the labels of a bundle that was exported from a MONAI bundle with those of MONAI's own pipeline.

The MONAI bundle is made here: a SwinUNETR with random weights, whose last layer is fitted to classes of CT numbers, so
that neighbouring classes have clearly different logits.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bedside.export import ExportOptions, export_bundle
from bedside.export.networks import open_monai_bundle
from bedside.runtime import Segmenter
from bedside.training.scores.metrics import dice_per_class
from monai.bundle import ConfigParser, init_bundle
from monai.networks.nets.swin_unetr import SwinUNETR
from numpy.typing import NDArray

CLASSES = {"background": -1024, "fat": -150, "soft tissue": -20, "bone": 200}  # from which CT number, in HU
LOW, HIGH = -1000, 1000
ROI = (64, 64, 64)
SHARE_FITTED = 0.25  # of the voxels of the first scan, at random
RIDGE = 1e-3
NETWORK: dict[str, Any] = {"in_channels": 1, "out_channels": len(CLASSES), "feature_size": 12}


def main() -> None:
    """Prints a Markdown table: for each scan, the share of voxels with the same label, and the Dice of each class."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("scans", type=Path, nargs="+", help="CT; the last layer is fitted to the first one")
    parser.add_argument("--pixdim", type=float, nargs=3, required=True, help="spacing of the network, x y z in mm")
    options = parser.parse_args()
    torch.manual_seed(0)
    network = SwinUNETR(**NETWORK).eval()
    described = inference(options.pixdim)
    fit_last_layer(network, described, options.scans[0])
    with tempfile.TemporaryDirectory() as folder:
        theirs, bundle = Path(folder, "swin"), Path(folder, "swin.bedside")
        init_bundle(theirs, network=network, metadata_str=metadata(), inference_str=described)
        export_bundle(open_monai_bundle(theirs), bundle, ExportOptions(precisions=["fp32"], threads=1))
        print(f"| scan | windows | same label | {' | '.join([*CLASSES][1:])} |")
        print(f"| -- | -- | -- |{' -- |' * (len(CLASSES) - 1)}")
        with Segmenter.load(bundle, "onnxruntime", "fp32", threads=1) as segmenter:
            for scan in options.scans:
                ours = segmenter.segment(scan, skip_air=False)
                other = labels_of_monai(theirs / "configs" / "inference.json", network, scan)
                dice = dice_per_class(ours.labels, other, len(CLASSES))[1:]
                row = [f"{100 * np.mean(ours.labels == other):.3f} %", *(f"{value:.4f}" for value in dice)]
                print(f"| {scan.name} | {ours.windows} | {' | '.join(row)} |", flush=True)


def inference(pixdim: list[float]) -> dict[str, Any]:
    """Returns the content of ``configs/inference.json``."""
    keys = {"keys": "image"}
    scaled = {"a_min": LOW, "a_max": HIGH, "b_min": -1.0, "b_max": 1.0, "clip": True}
    inverted = {"transform": "@preprocessing", "orig_keys": "image", "nearest_interp": False, "to_tensor": True}
    before = [
        {"_target_": "LoadImaged", **keys},
        {"_target_": "EnsureChannelFirstd", **keys},
        {"_target_": "Orientationd", **keys, "axcodes": "RAS"},
        {"_target_": "Spacingd", **keys, "pixdim": pixdim, "mode": "bilinear"},
        {"_target_": "ScaleIntensityRanged", **keys, **scaled},
        {"_target_": "EnsureTyped", **keys},
    ]
    after = [
        {"_target_": "Activationsd", "keys": "pred", "softmax": True},
        {"_target_": "Invertd", "keys": "pred", **inverted},
        {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
    ]
    return {
        "network_def": {"_target_": "SwinUNETR", **NETWORK},
        "preprocessing": {"_target_": "Compose", "transforms": before},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [*ROI], "overlap": 0.5, "mode": "gaussian"},
        "postprocessing": {"_target_": "Compose", "transforms": after},
    }


def metadata() -> dict[str, Any]:
    """Returns the content of ``configs/metadata.json``."""
    image = {"type": "image", "modality": "CT", "num_channels": 1, "spatial_shape": [*ROI]}
    prediction = {"num_channels": len(CLASSES), "channel_def": {str(n): name for n, name in enumerate(CLASSES)}}
    formats = {"inputs": {"image": image}, "outputs": {"pred": prediction}}
    return {"version": "0.1.0", "name": "CT numbers", "task": "CT numbers", "network_data_format": formats}


def fit_last_layer(network: SwinUNETR, described: dict[str, Any], scan: Path) -> None:
    """Sets the weights of the last layer by least squares, from its inputs to the classes of a scan's CT numbers."""
    parser = ConfigParser(described)
    image = parser.get_parsed_content("preprocessing")({"image": str(scan)})["image"]
    inferer = parser.get_parsed_content("inferer")
    last = network.out.conv.conv
    found: list[torch.Tensor] = []

    def features(window: torch.Tensor) -> torch.Tensor:
        with last.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0])):
            network(window)
        return found.pop()

    with torch.inference_mode():
        values = inferer(image[None].as_tensor(), features)[0].flatten(1).T.double()
    hu = (image.as_tensor().flatten().double() + 1) / 2 * (HIGH - LOW) + LOW
    classes = torch.bucketize(hu, torch.tensor([*CLASSES.values()][1:], dtype=torch.float64), right=True)
    chosen = torch.rand(len(values)) < SHARE_FITTED
    inputs = torch.cat((values, torch.ones(len(values), 1)), 1)[chosen]
    targets = torch.nn.functional.one_hot(classes[chosen], len(CLASSES)).double()
    ridge = RIDGE * len(inputs) * torch.eye(inputs.shape[1], dtype=torch.float64)
    solution = torch.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ targets).float()
    with torch.no_grad():
        last.weight.copy_(solution[:-1].T.reshape(last.weight.shape))
        last.bias.copy_(solution[-1])


def labels_of_monai(config: Path, network: torch.nn.Module, scan: Path) -> NDArray[np.uint8]:
    """Runs what a bundle describes as MONAI's own evaluator does."""
    parser = ConfigParser()
    parser.read_config(config)
    data = parser.get_parsed_content("preprocessing")({"image": str(scan)})
    with torch.inference_mode():
        data["pred"] = parser.get_parsed_content("inferer")(data["image"][None], network)[0]
    return parser.get_parsed_content("postprocessing")(data)["pred"][0].numpy().astype(np.uint8)


if __name__ == "__main__":
    main()
