"""The folder of a tiny trained nnU-Net v2, in nnU-Net's own format; nnU-Net is not needed to write it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bedside.export.networks.nnunet_network import UNet
from bedside.export.networks.nnunet_plans import Plans, decoded

PLANS: dict[str, Any] = {
    "dataset_name": "Dataset001_Tiny",
    "plans_name": "nnUNetPlans",
    "image_reader_writer": "SimpleITKIO",
    "transpose_forward": [1, 0, 2],
    "transpose_backward": [1, 0, 2],
    "configurations": {
        "3d_lowres": {"previous_stage": None},
        "3d_fullres": {
            "data_identifier": "nnUNetPlans_3d_fullres",
            "preprocessor_name": "DefaultPreprocessor",
            "batch_size": 2,
            "patch_size": [16, 24, 32],
            "spacing": [4.0, 2.0, 3.0],
            "normalization_schemes": ["CTNormalization"],
            "use_mask_for_norm": [False],
            "resampling_fn_data": "resample_data_or_seg_to_shape",
            "architecture": {
                "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
                "arch_kwargs": {
                    "n_stages": 3,
                    "features_per_stage": [2, 4, 6],
                    "conv_op": "torch.nn.modules.conv.Conv3d",
                    "kernel_sizes": [[1, 3, 3], [3, 3, 3], [3, 3, 3]],
                    "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]],
                    "n_conv_per_stage": [2, 2, 2],
                    "n_conv_per_stage_decoder": [2, 2],
                    "conv_bias": True,
                    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
                    "norm_op_kwargs": {"eps": 1e-05, "affine": True},
                    "dropout_op": None,
                    "dropout_op_kwargs": None,
                    "nonlin": "torch.nn.LeakyReLU",
                    "nonlin_kwargs": {"inplace": True},
                },
                "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
            },
        },
        "3d_fullres_bs4": {"batch_size": 4, "inherits_from": "3d_fullres"},
    },
    "foreground_intensity_properties_per_channel": {
        "0": {
            "max": 3071.0,
            "mean": 100.0,
            "median": 90.0,
            "min": -1024.0,
            "percentile_00_5": -800.0,
            "percentile_99_5": 1200.0,
            "std": 200.0,
        }
    },
}

DATASET: dict[str, Any] = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "bone": 2, "fat": 1, "ignore": 3},
    "numTraining": 1,
    "file_ending": ".nii.gz",
}


def plans() -> dict[str, Any]:
    """Returns the content of `plans.json`, to be changed."""
    return copy.deepcopy(PLANS)


def described() -> dict[str, Any]:
    """Returns the content of `dataset.json`, to be changed."""
    return copy.deepcopy(DATASET)


def network(of: dict[str, Any] = PLANS, num_classes: int = 3) -> UNet:
    """Returns the network that plans describe, with random weights."""
    torch.manual_seed(0)
    architecture = decoded(of, Plans, "plans").configuration("3d_fullres").architecture
    made = UNet(architecture, num_classes).eval()
    for name, tensor in made.decoder["seg_layers"].named_parameters():
        torch.nn.init.constant_(tensor, 0.0) if name.endswith("bias") else torch.nn.init.normal_(tensor)
    return made


def saved_tensors(network: UNet) -> dict[str, torch.Tensor]:
    """Returns the tensors of a network as nnU-Net saves them: under second names too, with all segmentation layers."""
    tensors = dict(network.state_dict())
    for name, tensor in network.state_dict().items():
        for layer, number in ((".conv.", ".all_modules.0."), (".norm.", ".all_modules.1.")):
            if layer in name:
                tensors[name.replace(layer, number)] = tensor
    tensors |= {f"decoder.{name}": tensor for name, tensor in tensors.items() if name.startswith("encoder.")}
    return tensors | {
        "decoder.seg_layers.0.weight": torch.zeros(3, 4, 1, 1, 1),
        "decoder.seg_layers.0.bias": torch.zeros(3),
    }


def write_nnunet(
    folder: Path, plans: dict[str, Any] = PLANS, described: dict[str, Any] = DATASET, **changes: Any
) -> Path:
    """Writes the folder with one fold; ``changes`` are fields of the checkpoint."""
    trained = folder / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    (trained / "fold_0").mkdir(parents=True)
    (trained / "plans.json").write_text(json.dumps(plans))
    (trained / "dataset.json").write_text(json.dumps(described))
    checkpoint = {
        "network_weights": saved_tensors(network()),
        "optimizer_state": {"state": {}, "param_groups": [{"lr": 0.01}]},
        "grad_scaler_state": None,
        "logging": {"mean_fg_dice": [np.float64(0.25)], "train_losses": [np.float32(1.5)]},
        "_best_ema": np.float64(0.25),
        "current_epoch": 1,
        "init_args": {"plans": plans, "configuration": "3d_fullres", "fold": 0, "device": torch.device("cpu")},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1, 2),
        **changes,
    }
    torch.save(checkpoint, trained / "fold_0" / "checkpoint_final.pth")
    return trained
