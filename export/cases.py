"""The scans of an export: those that calibrate int8, and the held-out cases of the gate."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..runtime import arguments
from ..runtime.errors import InputError
from ..runtime.task import Task
from ..training.data.case_digest import data_hash, digest_cases, possible_copies
from ..training.data.dataset import Case, load_dataset
from ..training.data.organ_masks import OrganMasks
from ..training.data.prepare import list_warnings
from ..training.runs.held_out import held_out_doubts
from ..training.runs.learned_from import LearnedFrom
from .gate_cases import GateCase, GateChoice, choose_gate_cases

_log = logging.getLogger("bedside.export")

FEWEST_GATE_CASES = 10  # that the gate's bounds need to mean much
_PAIRS = "a list of pairs (image, label map)"


@dataclass(frozen=True)
class ExportCases:
    """The scans of an export.

    Attributes:
        calibration: scans from which patches are drawn, for int8 and, without gate cases, for the comparison with the
            student; see `calibrating` and `compared`.
        gate: (image, label map) pairs on which the Dice of each variant is measured. Whoever gives them answers for
            their being held out.
        ignore: value of the gate's label maps that marks voxels to leave out; None compares all voxels.
        without_organ: pairs whose label maps have no organ, on which only what a variant invents is measured.
        remarks: what a person should know of the gate's cases, one line each.

    Raises:
        UsageError: an attribute has another type.
    """

    calibration: Sequence[Path] = ()
    gate: Sequence[GateCase] = ()
    ignore: int | None = None
    without_organ: Sequence[GateCase] = ()
    remarks: Sequence[str] = ()

    def __post_init__(self) -> None:
        for scan in checked_collection("calibration", self.calibration, "a list of paths"):
            arguments.path("calibration", scan)
        for name, cases in (("gate", self.gate), ("without_organ", self.without_organ)):
            for case in checked_collection(name, cases, _PAIRS):
                pair = arguments.sequence(name, case, "a list of paths")
                if len(pair) != 2:
                    arguments.refuse(name, _PAIRS, case)
                for part in pair:
                    if not isinstance(part, OrganMasks):
                        arguments.path(name, part)
        arguments.optional(arguments.whole_number, "ignore", self.ignore)
        for remark in checked_collection("remarks", self.remarks, "a list of lines"):
            arguments.text("remarks", remark)

    @classmethod
    def of_dataset(
        cls, path: Path, task: Task, most_gate_cases: int, trained_on: Mapping[str, LearnedFrom] | None = None
    ) -> ExportCases:
        """Chooses the scans of a data set, and logs the warnings about its list.

        The training scans calibrate int8; without any, the validation scans do, or else the test scans. The gate's
        cases come from the test list (those with label maps), then from the validation list; `choose_gate_cases` tells
        which.

        Args:
            path: the data set: its folder or list.
            task: the student's task.
            most_gate_cases: most cases of the gate; 0 for none.
            trained_on: what a network is, for messages → what it learned from; of the networks for which the gate's
                cases have to be held out.

        Raises:
            InputError: the data set is refused, its labels are not the task's although it has cases for the gate, or
                one of those is refused.
        """
        dataset = load_dataset(path, labels=task.labels)
        candidates = [case for case in (*dataset.test, *dataset.validation) if case.label is not None]
        try:
            warnings = list_warnings(dataset, task)
        except InputError as error:
            if most_gate_cases and candidates:
                raise
            warnings = (*dataset.warnings, f"{error}; its scans calibrate int8 and nothing else")
        for warning in warnings:
            _log.warning("%s", warning)
        choice = choose_gate_cases(candidates, task, most_gate_cases) if most_gate_cases else GateChoice()
        doubts = held_out_doubts([*(trained_on or {}).items()], choice.images, "gate scans")
        scans = dataset.training or dataset.validation or dataset.test
        return cls(
            tuple(case.image for case in scans),
            choice.cases,
            dataset.ignore,
            without_organ=choice.without_organ,
            remarks=(*doubts, *choice.remarks),
        )

    def gate_data_hash(self) -> str:
        """Returns a SHA-256 over the content of the gate's cases, in whatever order they are; empty without any.

        Raises:
            InputError: a file cannot be read.
        """
        if not self.gate:
            return ""
        cases = [
            Case(str(number), Path(image), label, ignore=self.ignore) for number, (image, label) in enumerate(self.gate)
        ]
        digests = digest_cases(cases)
        named = [replace(case, name=digest.image) for case, digest in zip(cases, digests, strict=True)]
        return data_hash(named, digests)

    def with_checked_gate(self, task: Task) -> ExportCases:
        """Returns the same with every scan of the gate once, and those without an organ apart.

        Args:
            task: the student's task.

        Raises:
            InputError: a label map is refused or has labels that the task lacks, one of `without_organ` has an organ,
                or a file cannot be read.
        """
        gate = self._numbered("gate case", self.gate)
        bare = self._numbered("case without organ", self.without_organ)
        if not gate and not bare:
            return self
        choice = choose_gate_cases((*gate, *bare), task, len(gate) + len(bare))
        for case in bare:
            if (case.image, case.label) in choice.cases:
                raise InputError(f"{case.name}: its label map has an organ; expected none, give it as a gate case")
        without_organ = choice.without_organ if choice.cases else self.without_organ
        remarks = (*self.remarks, *choice.remarks)
        return replace(self, gate=choice.cases, without_organ=without_organ, remarks=remarks)

    def with_calibration_remark(self) -> ExportCases:
        """Returns the same with a remark if a scan of the gate, or a copy of one, calibrates int8 too.

        Raises:
            InputError: a scan cannot be read.
        """
        gate, calibrating = {Path(image) for image, _ in self.gate}, {Path(scan) for scan in self.calibrating}
        if not gate:
            return self
        hashes = possible_copies(gate | calibrating, {})
        content = [{hashes.get(scan, scan) for scan in scans} for scans in (gate, calibrating)]
        if content[0].isdisjoint(content[1]):
            return self
        remark = "a gate case calibrates int8 too: its Dice says less about int8 on new scans"
        return replace(self, remarks=(*self.remarks, remark))

    def _numbered(self, name: str, pairs: Sequence[GateCase]) -> list[Case]:
        """Returns the pairs as cases with a number from 1 in their names."""
        return [
            Case(
                f"{name} {number}",
                Path(image),
                label if isinstance(label, OrganMasks) else Path(label),
                ignore=self.ignore,
            )
            for number, (image, label) in enumerate(pairs, start=1)
        ]

    @property
    def calibrating(self) -> Sequence[Path]:
        """The scans that calibrate int8: all of `calibration`, less those that are compared in place of gate cases."""
        return self.calibration if self.gate else self._different_scans[::2]

    @property
    def compared(self) -> Sequence[Path]:
        """The scans of the comparison without gate cases: every second one; int8 is closest where calibrated.

        If there is one scan only, it both calibrates int8 and is compared; `single_scan` is the warning of that.
        """
        return self._different_scans[1::2] or self._different_scans

    @property
    def single_scan(self) -> str | None:
        """Why the comparison says too much where the scan that calibrates int8 is compared; None if it is not."""
        if self.gate or len(self._different_scans) != 1:
            return None
        return "the one scan that calibrates int8 is compared too: the figures say less about int8 on new scans"

    @property
    def _different_scans(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys(Path(scan) for scan in self.calibration))

    @property
    def warning(self) -> str | None:
        """Why the gate's Dice is missing or says too much; None if neither is so."""
        if not self.gate:
            return "; ".join(self.remarks) or "no held-out case with a label map: the bundle will carry no Dice"
        few = f"expected at least {FEWEST_GATE_CASES} gate cases, got {len(self.gate)}: losses may not show"
        return "; ".join((*([few] if len(self.gate) < FEWEST_GATE_CASES else []), *self.remarks)) or None


def checked_collection(name: str, value: Any, expected: str) -> tuple[Any, ...]:
    """Accepts what `arguments.sequence` accepts but iterators, which would be empty after the check.

    Raises:
        UsageError: anything else.
    """
    if not isinstance(value, Collection):
        arguments.refuse(name, expected, value)
    return arguments.sequence(name, value, expected)
