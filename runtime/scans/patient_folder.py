"""Folders of one patient each, as in ``patient01/ct.nii.gz`` with ``patient01/labels.nii.gz``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from .names import nifti_files, stem, subfolders

_TRUTH = {
    "label", "labels", "labelmap", "seg", "segs", "segmentation", "segmentations", "mask", "masks", "msk", "gt",
    "truth", "groundtruth", "annotation", "annotations", "contour", "contours",
}  # fmt: skip
_ROLES = re.compile(r"(images?|labels?|masks?|seg(mentation)?s?)(tr|ts|va|val|train|test)?", re.IGNORECASE)


@dataclass(frozen=True)
class PatientFolder:
    """What one patient's folder holds.

    Attributes:
        path: the folder; its name is the case's.
        images: NIfTI files that no word in their names calls a label map.
        label_maps: those that one does.
        masks: files of a subfolder such as ``segmentations``, one for each organ.
    """

    path: Path
    images: tuple[Path, ...]
    label_maps: tuple[Path, ...]
    masks: tuple[Path, ...] = ()

    @staticmethod
    def of(path: Path) -> PatientFolder:
        """Looks into a folder.

        Raises:
            InputError: it cannot be read.
        """
        try:
            files = nifti_files(path)
            inner = [file for folder in subfolders(path) if _names_truth(folder.name) for file in nifti_files(folder)]
        except OSError as error:
            raise InputError(
                f'folder "{path.name}": cannot be read ({error.strerror}); check its permissions'
            ) from None
        truths = tuple(file for file in files if _names_truth(stem(file.name)))
        images = tuple(file for file in files if file not in truths)
        return PatientFolder(path, images, truths, tuple(inner))


def patient_folders(root: Path) -> list[PatientFolder]:
    """Returns the patients' folders directly in a folder: none where it holds scans itself, or folders by role.

    Folders by role are such as ``imagesTr`` and ``labelsTr``; subfolders without a NIfTI file are left out.

    Raises:
        OSError: the folder itself cannot be read.
        InputError: a patient's folder cannot be read.
    """
    inner = subfolders(root)
    if nifti_files(root) or any(_ROLES.fullmatch(folder.name) for folder in inner):
        return []
    found = (PatientFolder.of(folder) for folder in inner)
    return [patient for patient in found if patient.images or patient.label_maps or patient.masks]


def _names_truth(name: str) -> bool:
    return not _TRUTH.isdisjoint(re.split(r"[^a-z]+", name.lower()))
