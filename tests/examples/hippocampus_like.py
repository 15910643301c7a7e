"""A data set of the layout of Decathlon's Task04: small MR scans in which two touching ellipsoids are labelled."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np

SHAPE = (36, 48, 36)


def write_hippocampus_like(root: Path, cases: int = 6, seed: int = 1) -> Path:
    """Writes scans with labels 1 (anterior) and 2 (posterior), 1 mm, at places that differ by case."""
    random = np.random.default_rng(seed)
    (root / "imagesTr").mkdir(parents=True)
    (root / "labelsTr").mkdir()
    names = [f"hippocampus_{number:03d}.nii.gz" for number in range(cases)]
    for name in names:
        place = np.indices(SHAPE) - (np.array(SHAPE) / 2 + random.uniform(-3, 3, 3))[:, None, None, None]
        inside = ((place / np.array([7, 15, 7])[:, None, None, None]) ** 2).sum(0) < 1
        labels = np.where(inside, np.where(place[1] > 0, 1, 2), 0).astype(np.uint8)
        values = np.array([200.0, 900.0, 600.0])[labels] + random.normal(0, 30, SHAPE)
        for folder, data in (("imagesTr", values.astype(np.float32)), ("labelsTr", labels)):
            nib.save(nib.Nifti1Image(data, np.eye(4)), root / folder / name)
    training = [{"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"} for name in names]
    content = {
        "name": "Hippocampus", "modality": {"0": "MRI"}, "tensorImageSize": "3D", "numTraining": cases, "numTest": 0,
        "labels": {"0": "background", "1": "Anterior", "2": "Posterior"}, "training": training, "test": [],
    }  # fmt: skip
    (root / "dataset.json").write_text(json.dumps(content))
    return root
