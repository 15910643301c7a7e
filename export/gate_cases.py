"""Chooses the gate's cases: each scan once, with an organ, and together with as many of the task's organs as it can."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..runtime.errors import InputError
from ..runtime.scans.geometry import Grid
from ..runtime.scans.volume import Volume
from ..runtime.task import Task
from ..training.data.case_digest import CaseDigest
from ..training.data.dataset import Case
from ..training.data.label_grid import on_image_grid
from ..training.data.load_case import known_labels
from ..training.data.missing_labels import missing_labels
from ..training.data.organ_masks import OrganMasks, read_truth

GateCase = tuple[Path, Path | OrganMasks]  # image and label map

_FURTHER = 50  # cases read beyond those needed, for the sake of organs that they lack


@dataclass(frozen=True)
class GateChoice:
    """The chosen cases.

    Attributes:
        cases: cases with an organ in their label maps.
        without_organ: cases with none; they show what a variant invents, and no more.
        images: SHA-256 of their scans.
        remarks: what a person should know of the choice, one line each.
    """

    cases: tuple[GateCase, ...] = ()
    without_organ: tuple[GateCase, ...] = ()
    images: frozenset[str] = frozenset()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Candidate:
    """A case, the SHA-256 of its scan, and the organs in its label map."""

    case: GateCase
    image: str
    organs: frozenset[int]

    @classmethod
    def read(cls, case: Case, num_classes: int) -> _Candidate:
        truth = known_labels(case, num_classes, needs_label=True)
        if truth is None or case.label is None:
            raise ValueError("expected a case with a label map, got one without")
        found = np.unique(truth.data).tolist()
        organs = frozenset(label for label in found if 0 < label < num_classes)  # above are ignored voxels
        return cls((case.image, case.label), CaseDigest.of(case).image, organs)


@dataclass
class _Choosing:
    """The choice so far."""

    most: int
    chosen: list[_Candidate] = field(default_factory=list[_Candidate])
    without_organ: list[_Candidate] = field(default_factory=list[_Candidate])
    doubled: int = 0
    refused: int = 0

    @property
    def is_full(self) -> bool:
        return len(self.chosen) >= self.most

    @property
    def organs(self) -> frozenset[int]:
        return _organs(self.chosen)

    def offer(self, candidate: _Candidate) -> None:
        """Takes a candidate with an organ where there is room, or in place of a case whose organs others have too."""
        if any(candidate.image == each.image for each in (*self.chosen, *self.without_organ)):
            self.doubled += 1
        elif not candidate.organs:
            self.without_organ.append(candidate)
        elif not self.is_full:
            self.chosen.append(candidate)
        elif not candidate.organs <= self.organs:
            for index in reversed(range(len(self.chosen))):
                others = [*self.chosen[:index], *self.chosen[index + 1 :], candidate]
                if self.organs < _organs(others):
                    self.chosen = others
                    return


def choose_gate_cases(candidates: Iterable[Case], task: Task, most: int) -> GateChoice:
    """Chooses cases with organs, the first ones unless later ones have organs that these lack.

    A scan that comes twice, by its content, is taken once. Label maps are read until there are enough cases with all
    organs, or 50 further ones have been looked at.

    Args:
        candidates: cases with label maps; the same cases in the same order give the same choice.
        task: the task, for its organs.
        most: most cases with an organ, at least 1; half as many without one are taken beside them, more if these are
            fewer.

    Raises:
        InputError: a label map among the first ``most`` is refused or has labels that the task lacks, or a file cannot
            be read.
    """
    every = frozenset(range(1, task.num_classes))
    choosing, further = _Choosing(most), 0
    for case in candidates:
        if choosing.is_full:
            if further == _FURTHER or choosing.organs == every:
                break
            further += 1
        try:
            candidate = _Candidate.read(case, task.num_classes)
        except InputError:
            if not choosing.is_full:
                raise
            choosing.refused += 1  # the gate does not need it
            continue
        choosing.offer(candidate)
    chosen = choosing.chosen
    bare = choosing.without_organ[: max(most - len(chosen), most // 2)] if chosen else []
    return GateChoice(
        tuple(each.case for each in chosen),
        tuple(each.case for each in bare),
        frozenset(each.image for each in (*chosen, *bare)),
        tuple(_remarks(choosing, len(bare), task.labels)),
    )


def gate_truth(case: GateCase, number: int, grid: Grid) -> Volume:
    """Reads the label map of a gate case on the grid of its scan.

    Args:
        case: the case.
        number: its number from 1, for the message.
        grid: the scan's own grid.

    Raises:
        InputError: the label map cannot be used, or is on another grid.
        ResourceError: the label map does not fit into memory.
    """
    stored = read_truth(case[1])
    try:
        return on_image_grid(stored, grid)
    except InputError as error:
        raise InputError(f"gate case {number}: {error}") from None


def _organs(candidates: Sequence[_Candidate]) -> frozenset[int]:
    return frozenset[int]().union(*(each.organs for each in candidates))


def _remarks(choosing: _Choosing, bare: int, labels: Sequence[str]) -> Iterable[str]:
    if choosing.doubled:
        yield f"held-out scans that are given twice or are copies of others: {choosing.doubled}; each counts once"
    if choosing.refused:
        yield f"held-out label maps that are refused, and that the gate does without: {choosing.refused}"
    if not choosing.chosen:
        if choosing.without_organ:
            yield (
                f"of {len(choosing.without_organ)} held-out label maps none has an organ: the bundle will carry no Dice"
            )
        return
    if bare:
        yield (
            f"held-out label maps without any organ: {bare}; they are no gate cases, and show only what a variant "
            "invents there"
        )
    missing = missing_labels((each.organs for each in choosing.chosen), labels)
    if missing:
        yield f"in no gate case: {', '.join(missing)}; what a variant loses of this does not show"
