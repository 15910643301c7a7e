"""`metadata.json` of a bundle, in the format of MONAI bundles, so that MONAI's tools can read the model's inputs."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..runtime.bundles.manifest import Manifest

SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"


def monai_metadata(manifest: Manifest) -> str:
    """Returns the text of `metadata.json`.

    It describes the network's own input and output: [batch, 1, D, H, W] with D = z, normalised as ``bundle.json``
    says. Fields follow MONAI's bundle specification, "metadata.json Files", and the schema at `SCHEMA`.

    Args:
        manifest: the manifest with the figures of the gate.
    """
    task = manifest.task
    measured = {variant.name: variant.mean_dice for variant in manifest.variants if variant.mean_dice is not None}
    channels = {str(index): name for index, name in enumerate(task.labels)}
    spatial = list(task.patch.dhw)
    fields: dict[str, Any] = {
        "schema": SCHEMA,
        "version": manifest.provenance.code_version,
        "changelog": {manifest.provenance.code_version: f"exported by bedside, {manifest.provenance.created}"},
        "monai_version": _installed("monai"),
        "pytorch_version": _installed("torch"),
        "numpy_version": _installed("numpy"),
        "required_packages_version": {"onnxruntime": "1.18"},
        "name": f"{task.name} segmentation",
        "task": f"{task.modality.value} segmentation: {task.anatomy or ', '.join(task.labels[1:])}",
        "description": f"{manifest.provenance.student}, patch-wise 3D segmentation with {len(task.labels) - 1} labels",
        "authors": "see README.md",
        "copyright": manifest.licence,
        "data_type": "nibabel",
        "image_classes": f"{task.modality.value}, one channel",
        "pred_classes": f"{task.num_classes} channels of logits: {', '.join(task.labels)}",
        "eval_metrics": {f"mean_dice, {name}": round(dice, 4) for name, dice in measured.items()},
        "intended_use": manifest.intended_use,
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "hounsfield" if task.modality.value == "CT" else "magnitude",
                    "modality": task.modality.value,
                    "num_channels": 1,
                    "spatial_shape": spatial,
                    "dtype": manifest.input.dtype,
                    "value_range": list(task.intensity.normalised_range),
                    "is_patch_data": True,
                    "channel_def": {"0": "image"},
                }
            },
            "outputs": {
                "pred": {
                    "type": "image",
                    "format": "labels",  # one channel for each label
                    "num_channels": task.num_classes,
                    "spatial_shape": spatial,
                    "dtype": manifest.output.dtype,
                    "value_range": [],
                    "is_patch_data": True,
                    "channel_def": channels,
                }
            },
        },
    }
    return json.dumps(fields, indent=2, ensure_ascii=False) + "\n"


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
