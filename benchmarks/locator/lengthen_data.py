"""Writes a copy of a data set whose scans go on beyond both ends, as a scan of the whole body does.

    python benchmarks/locator/lengthen_data.py DATA OUT [--mm 250]

The phantoms of `bedside phantom` end where their organs end, so every window of theirs holds an organ, and a locator
has nothing to leave out. Here their end planes are repeated, with noise of ±30 HU, and without labels.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
from long_scan import TEXTURE_HU
from nibabel.nifti1 import Nifti1Image


def longer(image: Nifti1Image, millimetres: float, *, label: bool) -> Nifti1Image:
    """Returns a scan or label map with so many more millimetres before its first and after its last plane."""
    data = np.asarray(image.dataobj)
    planes = round(millimetres / float(image.header.get_zooms()[2]))
    more = ((0, 0), (0, 0), (planes, planes))
    if label:
        padded = np.pad(data, more)
    else:
        padded = np.pad(data, more, mode="edge")
        noise = np.random.default_rng(0).integers(-TEXTURE_HU, TEXTURE_HU, padded.shape, np.int16)
        noise[:, :, planes:-planes] = 0
        padded = (padded + noise).astype(data.dtype)
    affine = image.affine.copy()
    affine[:3, 3] -= planes * affine[:3, 2]
    return Nifti1Image(padded, affine)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--mm", type=float, default=250)
    given = parser.parse_args()
    files = sorted(given.data.glob("*/*.nii.gz"))
    if not files:
        raise SystemExit(f'"{given.data}" has no folders with .nii.gz files')
    for file in files:
        target = given.out / file.relative_to(given.data)
        target.parent.mkdir(parents=True, exist_ok=True)
        nib.save(longer(nib.load(file), given.mm, label=file.parent.name.startswith("labels")), target)
    shutil.copy(given.data / "dataset.json", given.out)
    print(f"{len(json.loads((given.out / 'dataset.json').read_text())['training'])} training cases in {given.out}")


if __name__ == "__main__":
    main()
