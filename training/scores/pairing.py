"""Pairs predicted label files with true ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...runtime.errors import InputError
from ...runtime.files.text import utf8_name
from ...runtime.scans.file_kind import contents_of
from ...runtime.scans.names import FIRST_CHANNEL, joined_names, nifti_files, stem
from ..data.dataset import Case
from ..data.organ_masks import OrganMasks

_SHOWN = 5


@dataclass(frozen=True)
class Pair:
    """A predicted label map and the true one.

    Attributes:
        name: name of the case.
        prediction: path of the predicted label map.
        truth: the true label map.
        ignore: value in the true label map of voxels to leave out; None compares all voxels.
    """

    name: str
    prediction: Path
    truth: Path | OrganMasks
    ignore: int | None = None


def pairs_of_folders(predictions: Path, truths: Path) -> list[Pair]:
    """Pairs the files of two folders by name.

    ``case_0000`` in one folder matches ``case`` in the other: nnU-Net adds ``_0000`` to a scan with one channel, and
    `segment` names label maps after the scans.

    Raises:
        InputError: there is no true label map, one has no prediction, or a name matches two files.
    """
    files = nifti_files(truths)
    if not files:
        raise InputError(f'evaluate: expected .nii or .nii.gz files in "{truths.name}", {contents_of(truths)}')
    return _paired(predictions, [(utf8_name(stem(file.name)), file) for file in files])


def pairs_of_cases(predictions: Path, cases: Sequence[Case]) -> list[Pair]:
    """Pairs a data set's labelled cases with the files of their names in a folder, as `pairs_of_folders` does.

    Raises:
        InputError: a case has no prediction or two, or no case has a label map.
    """
    labelled = [(case.name, case.label) for case in cases if case.label is not None]
    if not labelled:
        raise InputError(
            "evaluate: expected at least one case with a label map in this list, found none; choose another with --list"
        )
    ignore = {case.name: case.ignore for case in cases}
    return [replace(pair, ignore=ignore[pair.name]) for pair in _paired(predictions, labelled)]


def unpaired_predictions(predictions: Path, pairs: Sequence[Pair]) -> list[str]:
    """Returns the names of the files in a folder of predictions that no pair uses."""
    used = {pair.prediction for pair in pairs}
    return [file.name for file in nifti_files(predictions) if file not in used]


def _paired(predictions: Path, truths: Sequence[tuple[str, Path | OrganMasks]]) -> list[Pair]:
    predicted: dict[str, list[Path]] = {}
    for file in nifti_files(predictions):
        predicted.setdefault(utf8_name(stem(file.name)), []).append(file)
    cases = Counter(name for name, _ in truths)
    doubled = [name for name, times in cases.items() if times > 1]
    if doubled:
        raise InputError(
            f"evaluate: expected one true label map for each case, got two of {joined_names(doubled)}; remove one"
        )
    pairs: list[Pair] = []
    missing: list[str] = []
    for name, truth in truths:
        # A spelling that is the name of another case belongs to that case alone.
        spellings = [name, *(other for other in _other_spellings(name) if other not in cases)]
        found = [file for spelling in spellings for file in predicted.get(spelling, [])]
        if len(found) > 1:
            raise InputError(
                f'evaluate: expected one prediction for case "{name}" in "{predictions.name}", got '
                f"{joined_names(file.name for file in found)}; remove the one that is not to be scored"
            )
        if found:
            pairs.append(Pair(name, found[0], truth))
        else:
            missing.append(name)
    if missing:
        there = joined_names((file.name for files in predicted.values() for file in files), 2)
        raise InputError(
            f'evaluate: expected one prediction (.nii.gz or .nii) per case in "{predictions.name}"; '
            f"{len(missing)} of {len(truths)} have none: {joined_names(missing, _SHOWN)}; "
            + (f"the files there are called {there}" if there else "the folder has none")
            + ("; to score some cases alone, give as -t a folder with the truth of these" if pairs else "")
        )
    return pairs


def _other_spellings(name: str) -> list[str]:
    """Returns other spellings of a case name: with nnU-Net's number of the first channel, or without."""
    plain = name.removesuffix(FIRST_CHANNEL)
    return [f"{name}{FIRST_CHANNEL}"] if plain == name else [plain]
