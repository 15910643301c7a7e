"""A tiny MONAI bundle, written by MONAI's own means."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from monai.bundle import init_bundle
from monai.networks.nets.unet import UNet

METADATA: dict[str, Any] = {
    "version": "0.1.0",
    "monai_version": "1.4.0",
    "name": "Two organs",
    "task": "trunk",
    "intended_use": "none",
    "network_data_format": {
        "inputs": {"image": {"type": "image", "modality": "CT", "num_channels": 1, "spatial_shape": [32, 32, 32]}},
        "outputs": {
            "pred": {"num_channels": 3, "channel_def": {"0": "Background", "1": "Left Kidney", "2": "Right Kidney"}}
        },
    },
}

INFERENCE: dict[str, Any] = {
    "imports": ["$import glob"],
    "bundle_root": ".",
    "image_key": "image",
    "output_dir": "$@bundle_root + '/eval'",
    "device": "$torch.device('cpu')",
    "classes": 3,
    "network_def": {
        "_target_": "UNet",
        "spatial_dims": 3,
        "in_channels": 1,
        "out_channels": "@classes",
        "channels": [4, 8],
        "strides": [2],
        "norm": "batch",
    },
    "network": "$@network_def.to(@device)",
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": "@image_key"},
            {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
            {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": "@image_key", "pixdim": [3.0, 2.0, 4.0], "mode": "bilinear"},
            {
                "_target_": "ScaleIntensityRanged",
                "keys": "@image_key",
                "a_min": -1000,
                "a_max": 1000,
                "b_min": -1.0,
                "b_max": 1.0,
                "clip": True,
            },
            {"_target_": "EnsureTyped", "keys": "@image_key"},
        ],
    },
    "inferer": {
        "_target_": "SlidingWindowInferer",
        "roi_size": [32, 32, 64],
        "overlap": 0.5,
        "mode": "gaussian",
        "device": "@device",
    },
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Activationsd", "keys": "pred", "softmax": True},
            {
                "_target_": "Invertd",
                "keys": "pred",
                "transform": "@preprocessing",
                "orig_keys": "@image_key",
                "nearest_interp": False,
                "to_tensor": True,
            },
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
        ],
    },
}


def inference() -> dict[str, Any]:
    """Returns the content of `configs/inference.json`, to be changed."""
    return copy.deepcopy(INFERENCE)


def metadata() -> dict[str, Any]:
    """Returns the content of `configs/metadata.json`, to be changed."""
    return copy.deepcopy(METADATA)


def write_bundle(folder: Path, inference: dict[str, Any], metadata: dict[str, Any], network: torch.nn.Module) -> Path:
    """Writes a bundle by MONAI's own means."""
    init_bundle(folder, network=network, metadata_str=metadata, inference_str=inference)
    return folder


def unet() -> torch.nn.Module:
    """The network that `INFERENCE` defines, with random weights."""
    torch.manual_seed(0)
    return UNet(3, in_channels=1, out_channels=3, channels=(4, 8), strides=(2,), norm="batch").eval()
