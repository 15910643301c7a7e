"""Adds a folder of scans to a data set's cases without labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...runtime.errors import InputError
from ...runtime.files.text import utf8_name
from ...runtime.scans.names import nifti_files, stem
from ...runtime.shortage import raise_shortage
from .dataset import Case, Dataset
from .organ_masks import truth_files


def with_unlabelled(dataset: Dataset, folder: Path) -> Dataset:
    """Returns the data set with the scans in a folder as further cases without labels.

    Args:
        dataset: the data set.
        folder: folder of NIfTI files; scans, label maps and masks that the data set lists are no further cases.

    Raises:
        InputError: the folder cannot be read, or holds no further scan.
    """
    try:
        files = nifti_files(folder)
    except OSError as error:
        raise_shortage(error, f'"{folder.name}"')
        raise InputError(f'"{folder.name}": cannot be read ({error.strerror}); expected a folder of scans') from None
    cases = (*dataset.training, *dataset.validation, *dataset.test, *dataset.unlabelled)
    truth = {file.resolve() for case in (*cases, *dataset.left_out) for file in truth_files(case.label)}
    listed = truth | {case.image.resolve() for case in cases}
    further = tuple(Case(utf8_name(stem(file.name)), file) for file in files if file.resolve() not in listed)
    if not further:
        raise InputError(f'"{folder.name}": expected scans (.nii, .nii.gz) that the data set does not list, got none')
    return replace(dataset, unlabelled=(*dataset.unlabelled, *further))
