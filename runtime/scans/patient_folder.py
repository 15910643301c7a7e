"""Finds the scans of data sets with one folder per patient: ``patient01/ct.nii.gz``, ``patient01/labels.nii.gz``."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..shortage import raise_shortage
from .file_kind import first_files, is_dicom
from .names import JOURNAL_NAME, has_nifti_ending, nifti_files, stem, subfolders

_TRUTH = {
    "label", "labels", "labelmap", "seg", "segs", "segmentation", "segmentations", "mask", "masks", "gt",
    "truth", "groundtruth", "annotation", "annotations", "contour", "contours",
}  # fmt: skip
_ROLES = re.compile(r"(images?|labels?|masks?|seg(mentation)?s?)(tr|ts|va|val|train|test)?", re.IGNORECASE)


@dataclass(frozen=True)
class PatientFolder:
    """The NIfTI files in one patient's folder.

    Attributes:
        path: the folder; its name is the case's name.
        images: files without a word such as ``label`` or ``seg`` in their names.
        label_maps: files with such a word in their names.
        masks: files in subfolders such as ``segmentations``, one for each organ.
    """

    path: Path
    images: tuple[Path, ...]
    label_maps: tuple[Path, ...]
    masks: tuple[Path, ...] = ()

    @staticmethod
    def of(path: Path) -> PatientFolder:
        """Lists the files of a folder and sorts them into images, label maps and masks.

        Raises:
            InputError: the folder cannot be read.
            ResourceError: file descriptors ran out, or the disk failed.
        """
        try:
            files = nifti_files(path)
            inner = [file for folder in subfolders(path) if _names_truth(folder.name) for file in nifti_files(folder)]
        except OSError as error:
            raise_shortage(error, f'folder "{path.name}"')
            raise InputError(
                f'folder "{path.name}": cannot be read ({error.strerror}); check its permissions'
            ) from None
        truths = tuple(file for file in files if _names_truth(stem(file.name)))
        images = tuple(file for file in files if file not in truths)
        return PatientFolder(path, images, truths, tuple(inner))


def patient_folders(root: Path, outputs: Path | None = None) -> list[PatientFolder]:
    """Returns the patients' folders directly in a folder, without those that hold no NIfTI file.

    Returns none if the folder itself holds scans, or has folders by role such as ``imagesTr`` and ``labelsTr``.

    Args:
        root: the folder.
        outputs: folder that label maps are written to, which is no patient's; nor is one with a journal.

    Raises:
        OSError: the folder itself cannot be read.
        InputError: a patient's folder cannot be read.
    """
    inner = inner_folders(root, outputs)
    if nifti_files(root) or any(_ROLES.fullmatch(folder.name) for folder in inner):
        return []
    found = (PatientFolder.of(folder) for folder in inner)
    return [patient for patient in found if patient.images or patient.label_maps or patient.masks]


def inner_folders(root: Path, outputs: Path | None = None) -> list[Path]:
    """Returns the folders directly in a folder that hold no label maps of bedside; arguments as `patient_folders`.

    Raises:
        OSError: the folder cannot be read.
    """
    written = None if outputs is None else outputs.resolve()
    return [folder for folder in subfolders(root) if folder.resolve() != written and not _has_journal(folder)]


def holds_scan(folder: Path) -> bool:
    """Whether a NIfTI or DICOM file that is not named like a label map is among the first files in and below a folder.

    Hidden folders, those of label maps and those with a journal hold none.

    Raises:
        ResourceError: file descriptors ran out, or the disk failed.
    """
    return any(_is_scan(file, folder) for file in first_files(folder))


def _is_scan(file: Path, root: Path) -> bool:
    folders = file.relative_to(root.parent).parts[:-1]
    if any(name.startswith(".") or _is_of_labels(name) for name in folders):
        return False
    if _names_truth(stem(file.name)) or _has_journal(file.parent):
        return False
    return has_nifti_ending(file.name) or is_dicom(file)


def _has_journal(folder: Path) -> bool:
    return os.path.exists(folder / JOURNAL_NAME)  # noqa: PTH110 - unlike Path.exists, False of a folder without permission


def _is_of_labels(name: str) -> bool:
    """Whether a folder's whole name says that it has label maps; a patient's may have such a word in it."""
    is_role = _ROLES.fullmatch(name) is not None and not name.lower().startswith("image")
    return is_role or re.sub(r"[^a-z]", "", name.lower()) in _TRUTH


def _names_truth(name: str) -> bool:
    return not _TRUTH.isdisjoint(re.split(r"[^a-z]+", name.lower()))
