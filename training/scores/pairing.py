"""Which predicted label file belongs to which true one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...runtime.errors import InputError
from ...runtime.files.names import utf8_name
from ...runtime.scans.file_kind import found_in
from ..data.dataset import ENDINGS, Case, stem

_SHOWN = 5


@dataclass(frozen=True)
class Pair:
    """A prediction and the truth it is scored against."""

    name: str
    prediction: Path
    truth: Path


def pairs_of_folders(predictions: Path, truths: Path) -> list[Pair]:
    """Pairs the files of two folders by name.

    Raises:
        InputError: no truth at all, or truths without a prediction.
    """
    files = _label_files(truths)
    if not files:
        raise InputError(f'evaluate: expected .nii or .nii.gz files in "{truths.name}", {found_in(truths)}')
    return _paired(predictions, [(stem(file.name), file) for file in files])


def pairs_of_cases(predictions: Path, cases: Sequence[Case]) -> list[Pair]:
    """Pairs a data set's labelled cases with the files of their names in a folder.

    Raises:
        InputError: cases without a prediction, or no case with a label map.
    """
    labelled = [(case.name, case.label) for case in cases if case.label is not None]
    if not labelled:
        raise InputError(
            "evaluate: expected at least one case with a label map in this list, found none; choose another with --list"
        )
    return _paired(predictions, labelled)


def without_truth(predictions: Path, pairs: Sequence[Pair]) -> list[str]:
    """Returns the names of the files in a folder of predictions that no pair uses."""
    used = {pair.prediction for pair in pairs}
    return [file.name for file in _label_files(predictions) if file not in used]


def _label_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.name.endswith(ENDINGS) and file.name[0] != ".")


def _paired(predictions: Path, truths: Sequence[tuple[str, Path]]) -> list[Pair]:
    pairs: list[Pair] = []
    missing: list[str] = []
    for name, truth in truths:
        found = [file for file in (predictions / f"{name}{ending}" for ending in ENDINGS) if file.is_file()]
        if len(found) == 1:
            pairs.append(Pair(utf8_name(name), found[0], truth))
        else:
            missing.append(name)
    if missing:
        listed = ", ".join(missing[:_SHOWN]) + (f" … and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else "")
        there = ", ".join(file.name for file in _label_files(predictions)[:2])
        raise InputError(
            f'evaluate: expected one prediction (.nii.gz or .nii) per case in "{predictions.name}"; '
            f"{len(missing)} of {len(truths)} have none or two: {listed}; "
            + (f"the files there are called {there}, …" if there else "there is no such file at all")
        )
    return pairs
