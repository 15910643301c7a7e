"""Runs nnU-Net: its own predictor around a plain U-Net as costly as the student. Started by speed.py.

Needs the package nnunetv2, and nothing of bedside. Weights are random: time and memory do not depend on them, and the
labels mean nothing.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

from job import NnunetJob, Outcome, answer, peak_bytes, read_job, timed

STAGES = 6  # at most
SMALLEST_EDGE = 4  # voxels of the deepest stage
MOST_FEATURES = 320
CONFIGURATION = "3d_fullres"
CONVOLUTIONS = 2  # per stage, as nnU-Net plans them


def strides(patch: list[int]) -> list[list[int]]:
    """Returns each stage's strides: an axis is halved while it is even and at least four voxels are left."""
    found, size = [[1, 1, 1]], patch
    while len(found) < STAGES:
        step = [2 if edge % 2 == 0 and edge // 2 >= SMALLEST_EDGE else 1 for edge in size]
        if step == [1, 1, 1]:
            break
        found.append(step)
        size = [edge // by for edge, by in zip(size, step, strict=True)]
    return found


def architecture(patch: list[int], width: float) -> dict[str, Any]:
    """Returns a plain U-Net as plans describe it.

    Args:
        patch: voxels, z, y, x.
        width: features of the first stage; each further one has twice as many. Fractions count in the deeper stages.
    """
    steps = strides(patch)
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": len(steps),
            "features_per_stage": [min(MOST_FEATURES, round(width * 2**stage)) for stage in range(len(steps))],
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3, 3, 3]] * len(steps),
            "strides": steps,
            "n_conv_per_stage": [CONVOLUTIONS] * len(steps),
            "n_conv_per_stage_decoder": [CONVOLUTIONS] * (len(steps) - 1),
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "nonlin"],
    }


def plans(job: NnunetJob, network: dict[str, Any]) -> dict[str, Any]:
    """Returns the plans of one configuration, with nnU-Net's own choices of reader and resampling."""
    low, high = job.clip
    resampling = "resample_data_or_seg_to_shape"
    options = {"force_separate_z": None, "order_z": 0}
    return {
        "dataset_name": "Dataset001_Speed",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "NibabelIOWithReorient",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            "0": {"mean": (low + high) / 2, "std": (high - low) / 4, "percentile_00_5": low, "percentile_99_5": high}
        },
        "configurations": {
            CONFIGURATION: {
                "preprocessor_name": "DefaultPreprocessor",
                "spacing": job.spacing,
                "patch_size": job.patch,
                "batch_size": 2,
                "normalization_schemes": ["CTNormalization"],
                "use_mask_for_norm": [False],
                "resampling_fn_data": resampling,
                "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, **options},
                "resampling_fn_seg": resampling,
                "resampling_fn_seg_kwargs": {"is_seg": True, "order": 1, **options},
                "resampling_fn_probabilities": resampling,
                "resampling_fn_probabilities_kwargs": {"is_seg": False, "order": 1, **options},
                "architecture": network,
            }
        },
    }


def build(network: dict[str, Any], classes: int, initialised: bool) -> Any:
    """Returns the network as nnU-Net builds it from plans."""
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    return get_network_from_plans(
        network["network_class_name"],
        network["arch_kwargs"],
        network["_kw_requires_import"],
        1,
        classes,
        allow_init=initialised,
        deep_supervision=False,
    )


def as_costly_as(job: NnunetJob) -> tuple[dict[str, Any], float]:
    """Returns the architecture whose operations per window are nearest to the student's, and their number."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    nearest: tuple[dict[str, Any], float] | None = None
    for quarters in range(8, 4 * MOST_FEATURES):
        network = architecture(job.patch, quarters / 4)
        with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
            build(network, len(job.classes), initialised=False)(torch.empty(1, 1, *job.patch))
        flops = float(counter.get_total_flops())
        if nearest is None or abs(flops - job.flops) < abs(nearest[1] - job.flops):
            nearest = network, flops
        if flops > job.flops:
            break
    return nearest or (architecture(job.patch, 2), 0.0)


def main() -> None:
    job = read_job(NnunetJob)
    threads = job.threads or len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        settings = dict.fromkeys(("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"), folder)
        settings["nnUNet_def_n_proc"] = str(threads)  # by default nnU-Net resamples with eight threads on any machine
        os.environ.update(settings)
        answer(measured(job, threads))


def measured(job: NnunetJob, threads: int) -> Outcome:
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    shape, flops = as_costly_as(job)
    network = build(shape, len(job.classes), initialised=True)
    manager = PlansManager(plans(job, shape))
    labels = {name: index for index, name in enumerate(job.classes)}
    dataset = {"channel_names": {"0": "CT"}, "labels": labels, "file_ending": ".nii.gz"}
    predictor = nnUNetPredictor(
        tile_step_size=1 - job.overlap,
        use_gaussian=True,
        use_mirroring=False,
        device=torch.device("cpu"),
        perform_everything_on_device=False,
        allow_tqdm=False,
    )
    predictor.manual_initialization(
        network,
        manager,
        manager.get_configuration("3d_fullres"),
        [network.state_dict()],
        dataset,
        "nnUNetTrainer",
        None,
    )
    reader = manager.image_reader_writer_class()

    def segment(scan: str) -> Any:
        image, properties = reader.read_images([scan])
        return predictor.predict_single_npy_array(image, properties)

    segment(job.piece)
    seen: list[int] = []
    network.register_forward_hook(lambda *_: seen.append(1))
    seconds = [timed(lambda: segment(job.scan))[1] for _ in range(job.repeats)]
    features = shape["arch_kwargs"]["features_per_stage"]
    return Outcome(
        seconds=seconds,
        peak_bytes=peak_bytes(),
        windows=len(seen) // job.repeats,
        flops=flops,
        taken=f"PlainConvUNet, features {features}",
    )


if __name__ == "__main__":
    main()
