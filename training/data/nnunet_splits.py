"""Reads nnU-Net's splits_final.json, the training and validation cases of each cross-validation fold."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ...runtime.errors import InputError, UsageError
from ...runtime.files.text import read_utf8
from ...runtime.scans.names import FIRST_CHANNEL, joined_names
from ...runtime.shortage import raise_shortage

if TYPE_CHECKING:
    from .dataset import Dataset

SPLITS = "splits_final.json"
_PREPROCESSED = "nnUNet_preprocessed"  # nnU-Net's environment variable, and the folder's usual name


class Fold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names of the cases of one fold.

    Attributes:
        train: training cases.
        val: validation cases.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]


@dataclass(frozen=True)
class Splits:
    """A splits file.

    Attributes:
        file: path of the file.
        folds: the folds, in the order of the file.
    """

    file: Path
    folds: tuple[Fold, ...]

    def fold(self, number: int) -> Fold:
        """Returns the fold with a number, counted from 0.

        Raises:
            UsageError: the file has no fold of that number.
        """
        if not 0 <= number < len(self.folds):
            raise UsageError(f"--fold: {SPLITS} has the folds 0…{len(self.folds) - 1}, got {number}; name one of these")
        return self.folds[number]


def find_splits(root: Path) -> Path | None:
    """Returns the path of a data set's splits file; None without one.

    The file is searched beside the list, in the folder of the same name in ``$nnUNet_preprocessed``, and in the folder
    of the same name in a ``nnUNet_preprocessed`` beside the parent folder of the data set.

    Args:
        root: folder of the data set.

    Raises:
        InputError: two splits files were found and differ.
    """
    places = [root, root.parent.parent / _PREPROCESSED / root.name]
    if os.environ.get(_PREPROCESSED):
        places.insert(1, Path(os.environ[_PREPROCESSED]) / root.name)
    found = [file for file in (place / SPLITS for place in places) if file.is_file()]
    try:
        differing = len({file.read_bytes() for file in found}) > 1
    except OSError as error:
        raise_shortage(error, SPLITS)
        raise InputError(f"{SPLITS} cannot be read: {error.strerror}") from None
    if differing:
        raise InputError(
            f"found two {SPLITS} that differ, beside the data set and in {_PREPROCESSED}; "
            "remove the one that is out of date"
        )
    return found[0] if found else None


def read_splits(file: Path) -> Splits:
    """Reads a splits file.

    Raises:
        InputError: the file is not a splits file, a fold lacks cases, or a fold has a case in both of its lists.
    """
    try:
        folds = msgspec.json.decode(read_utf8(file, file.name), type=tuple[Fold, ...])
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError(
            f'{file.name}: expected a list of folds as {{"train": [names], "val": [names]}}: {error}'
        ) from None
    if not folds:
        raise InputError(f"{file.name}: expected at least one fold, got none; let nnU-Net write it again")
    for number, fold in enumerate(folds):
        if not fold.train or not fold.val:
            raise InputError(
                f"{file.name}: fold {number}: expected cases under train and val, got {len(fold.train)} and "
                f"{len(fold.val)}; name at least one of each"
            )
        both = sorted(set(fold.train) & set(fold.val))
        if both:
            raise InputError(
                f"{file.name}: fold {number} both trains on and validates on {joined_names(both)}; list a case once"
            )
    return Splits(file, folds)


def unused_splits(dataset: Dataset) -> str | None:
    """Returns a note that a splits file is not used; None without one, or if the list has validation cases."""
    if dataset.validation:
        return None
    try:
        file = find_splits(dataset.root)
        folds = len(read_splits(file).folds) if file is not None else 0
    except InputError:  # its message may name cases, and this goes into logs
        return f"{SPLITS} exists but cannot be used; it is not needed without --fold (dataset check --fold 0 says why)"
    if not folds:
        return None
    return f"{SPLITS} with {folds} folds exists and is not used; --fold 0…{folds - 1} trains and validates as it says"


def choose(names: tuple[str, ...], there: frozenset[str], place: str) -> frozenset[str]:
    """Returns the data set's names of the cases of a fold.

    Args:
        names: case names as the fold lists them.
        there: case names of the data set; they may end in ``_0000``.
        place: name of the fold's list, for messages.

    Raises:
        InputError: the data set lacks cases of the fold.
    """
    known = {name: name for name in there} | {
        name.removesuffix(FIRST_CHANNEL): name for name in there if name.removesuffix(FIRST_CHANNEL) not in there
    }
    missing = [name for name in names if name not in known]
    if missing:
        raise InputError(
            f"{SPLITS}: {place}: {len(missing)} of {len(names)} cases are not among the data set's training cases: "
            f"{joined_names(missing)}; add them to the data set, or make the splits anew"
        )
    return frozenset(known[name] for name in names)
