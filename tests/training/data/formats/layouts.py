"""Lists and empty files of data sets in several layouts: the readers look at lists and paths, not into the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bedside.training.data.dataset import Dataset

NNUNET = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}, "file_ending": ".nii.gz"}
DECATHLON = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "liver"}, "tensorImageSize": "3D"}
LABELS = ("background", "liver")


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def write(root: Path, content: dict[str, Any]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset.json").write_text(json.dumps(content))
    return root


def entry(scan: str, **fields: Any) -> dict[str, Any]:
    return {"image": f"imagesTr/{scan}.nii.gz", "label": "labelsTr/a.nii.gz", **fields}


def names(dataset: Dataset) -> list[str]:
    return [case.name for case in dataset.training]


def nnunet_listing(root: Path, image: str, label: str) -> Path:
    return write(root, {**NNUNET, "dataset": {"a": {"images": [image], "label": label}}})
