"""The scans without labels of a training: a folder of further ones, and none that is a copy of another scan."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from ...runtime.errors import InputError
from ...runtime.files.text import utf8_name
from ...runtime.scans.names import joined_names, nifti_files, stem
from ...runtime.shortage import raise_shortage
from .case_digest import CaseDigest
from .dataset import Case, Dataset
from .organ_masks import truth_files

_log = logging.getLogger("bedside.training")


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


def without_known(dataset: Dataset) -> Dataset:
    """Returns a data set without the scans without labels that are its training or validation cases; it warns of them.

    Choose a fold first: a case that it leaves out of both may take part without its labels.
    """
    known = {case.image for case in (*dataset.training, *dataset.validation)}
    names = [case.name for case in dataset.unlabelled if case.image in known]
    if not names:
        return dataset
    _log.warning(
        "scans listed as unlabelled are training or validation cases already, and left out: %s", joined_names(names)
    )
    return replace(dataset, unlabelled=tuple(case for case in dataset.unlabelled if case.image not in known))


def without_copies(
    scans: Sequence[Case], digests: Sequence[CaseDigest], known: Collection[str]
) -> tuple[list[Case], list[CaseDigest]]:
    """Returns scans without labels, and their digests, without copies of each other and of cases with labels.

    Args:
        scans: the scans.
        digests: their digests.
        known: SHA-256 of the images of training and validation cases.

    Raises:
        InputError: there are scans, and each is a copy of such a case.
    """
    kept: dict[str, tuple[Case, CaseDigest]] = {}
    copies: list[str] = []
    for case, digest in zip(scans, digests, strict=True):
        if digest.image in known or digest.image in kept:
            copies.append(case.name)
        else:
            kept[digest.image] = case, digest
    if copies and not kept:
        raise InputError(
            "each scan without labels is a copy of a training or validation case: name others, or leave them out"
        )
    if copies:
        _log.warning(
            "scans without labels are copies of others, or of training or validation cases, and left out: %s",
            joined_names(copies),
        )
    return [case for case, _ in kept.values()], [digest for _, digest in kept.values()]
