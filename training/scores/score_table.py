"""Reads and writes scores as a CSV file: one row per case and organ, and one per case for its mean."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...runtime.errors import InputError
from ...runtime.files.atomic import atomic_write
from ...runtime.files.text import read_utf8
from .evaluation import Evaluation

MEAN = "mean"  # in the organ column, marks the mean over a case's organs; the label column is empty
_REQUIRED: tuple[str, ...] = ("case", "label", "organ", "dice", "nsd", "hd95_mm", "tolerance_mm")
SCORES_MARKS = (",".join(_REQUIRED),)  # tell a file of scores from others; see `check_writable`
_COLUMNS: tuple[str, ...] = (*_REQUIRED, "truth_voxels", "predicted_voxels")


@dataclass(frozen=True)
class Score:
    """The scores of one organ that a case has.

    Attributes:
        dice: Dice, 0…1.
        nsd: NSD, 0…1.
        hd95: HD95 in mm; infinite if the organ was missed.
        truth_voxels: number of voxels in the true label map; 0 if the file has no such column.
    """

    dice: float
    nsd: float
    hd95: float
    truth_voxels: int = 0


@dataclass(frozen=True)
class ScoreTable:
    """The scores of a model on several cases; absent organs have no score.

    Attributes:
        scores: (case, organ) → score, in the order of the file.
        tolerance_mm: tolerance of the NSD in mm.
        empty: names of the cases without any organ, which have no score.
    """

    scores: dict[tuple[str, str], Score]
    tolerance_mm: float
    empty: tuple[str, ...] = ()

    @property
    def cases(self) -> tuple[str, ...]:
        """Names of the cases that have at least one organ."""
        return tuple(dict.fromkeys(case for case, _ in self.scores))

    @property
    def organs(self) -> tuple[str, ...]:
        """Names of the organs that occur in at least one case."""
        return tuple(dict.fromkeys(organ for _, organ in self.scores))


def table_of(evaluation: Evaluation) -> ScoreTable:
    """Returns the same scores as writing and reading the file would: rounded to six digits."""
    rows = [dict(zip(_COLUMNS, row, strict=True)) for row in _rows(evaluation)]
    scores = dict(_scores(iter(rows)))
    return ScoreTable(scores, evaluation.tolerance_mm, _empty(rows, scores))


def write_scores(file: Path, evaluation: Evaluation) -> None:
    """Writes every score: ``nan`` if the true label map lacks the organ, ``inf`` for the HD95 of a missed organ.

    Raises:
        ResourceError: the file cannot be written.
    """
    with atomic_write(file) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(_COLUMNS)
        rows.writerows(_rows(evaluation))


def read_scores(file: Path) -> ScoreTable:
    """Reads a file written by `write_scores`.

    Raises:
        InputError: the file does not exist, has another format, two tolerances or two scores of an organ in a case, or
            no scores.
    """
    expected = f'"{file.name}": expected a CSV that bedside evaluate --csv wrote'
    try:
        reader = csv.DictReader(io.StringIO(read_utf8(file, f"{expected}; it"), newline=""))
        missing = [column for column in _REQUIRED if column not in (reader.fieldnames or ())]
        if missing:
            raise InputError(f"{expected}, got one without the columns {', '.join(missing)}")
        rows = list(reader)
    except csv.Error as error:
        raise InputError(f"{expected}: {error}") from None
    try:
        tolerances = sorted({float(row["tolerance_mm"]) for row in rows})
        scores = list(_scores(iter(rows)))
    except (TypeError, ValueError) as error:
        raise InputError(f"{expected}: {error}") from None
    if len(tolerances) > 1:
        raise InputError(f"{expected}, got NSD at {len(tolerances)} tolerances in one file; compare them one by one")
    if not scores:
        raise InputError(f"{expected}, got no case with a score")
    if len(dict(scores)) < len(scores):
        raise InputError(f"{expected}, got a case that has two scores of one organ")
    return ScoreTable(dict(scores), tolerances[0], _empty(rows, dict(scores)))


def _empty(rows: Sequence[dict[str, str]], scores: Mapping[tuple[str, str], Score]) -> tuple[str, ...]:
    with_organs = {case for case, _ in scores}
    return tuple(dict.fromkeys(row["case"] for row in rows if row["case"] not in with_organs))


def _rows(evaluation: Evaluation) -> Iterator[tuple[str, ...]]:
    tolerance = str(float(evaluation.tolerance_mm))
    for name, case in evaluation.cases:
        for label in evaluation.reported:
            values = (f"{value:.6g}" for value in (case.dice[label], case.nsd[label], case.hd95[label]))
            voxels = str(case.truth_voxels[label]), str(case.predicted_voxels[label])
            yield name, str(label), evaluation.labels[label], *values, tolerance, *voxels
        mean = evaluation.case_mean(case)
        yield name, "", MEAN, *(f"{value:.6g}" for value in (mean.dice, mean.nsd, mean.hd95)), tolerance, "", ""


def _scores(rows: Iterator[dict[str, str]]) -> Iterator[tuple[tuple[str, str], Score]]:
    for number, row in enumerate(rows, start=2):
        if row["label"] == "":
            continue
        dice, nsd, hd95 = (float(row[column]) for column in ("dice", "nsd", "hd95_mm"))
        if math.isnan(dice) and math.isnan(nsd) and math.isnan(hd95):
            continue
        if not (0 <= dice <= 1 and 0 <= nsd <= 1 and hd95 >= 0):
            raise ValueError(f"row {number} has Dice {dice:g}, NSD {nsd:g} and HD95 {hd95:g}")
        yield (row["case"], row["organ"]), Score(dice, nsd, hd95, int(row.get("truth_voxels") or 0))
