"""The scans of an export: those that calibrate int8, and the held-out cases of the gate."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..runtime import arguments
from ..runtime.task import Task
from ..training.data.case_digest import data_hash, digest_cases
from ..training.data.dataset import Case, load_dataset
from ..training.data.organ_masks import OrganMasks
from ..training.data.prepare import check_labels

GateCase = tuple[Path, Path | OrganMasks]  # image and label map

FEWEST_GATE_CASES = 10  # that the gate's bounds need to mean much
_PAIRS = "a list of pairs (image, label map)"


@dataclass(frozen=True)
class ExportCases:
    """The scans of an export.

    Attributes:
        calibration: scans from which patches are drawn, for int8 and for the comparison with the student.
        gate: (image, label map) pairs on which the Dice of each variant is measured.
        ignore: value of the gate's label maps that marks voxels to leave out; None compares all voxels.
        trained_on_calibration: whether the calibration scans are known to be training cases of the network.

    Raises:
        UsageError: an attribute has another type.
    """

    calibration: Sequence[Path] = ()
    gate: Sequence[GateCase] = ()
    ignore: int | None = None
    trained_on_calibration: bool = False

    def __post_init__(self) -> None:
        for scan in checked_collection("calibration", self.calibration, "a list of paths"):
            arguments.path("calibration", scan)
        for case in checked_collection("gate", self.gate, _PAIRS):
            pair = arguments.sequence("gate", case, "a list of paths")
            if len(pair) != 2:
                arguments.refuse("gate", _PAIRS, case)
            for part in pair:
                if not isinstance(part, OrganMasks):
                    arguments.path("gate", part)
        arguments.optional(arguments.whole_number, "ignore", self.ignore)
        arguments.flag("trained_on_calibration", self.trained_on_calibration)

    @classmethod
    def of_dataset(cls, path: Path, task: Task, most_gate_cases: int) -> ExportCases:
        """Chooses the scans of a data set.

        The training scans calibrate int8; without any, the validation scans do, or else the test scans. The gate's
        cases come from the test list (those with label maps), then from the validation list.

        Args:
            path: the data set: its folder or list.
            task: the student's task.
            most_gate_cases: most cases of the gate; 0 for none.

        Raises:
            InputError: the data set is refused, or its labels are not the task's.
        """
        dataset = load_dataset(path, labels=task.labels)
        held_out = [(case.image, case.label) for case in (*dataset.test, *dataset.validation) if case.label is not None]
        if most_gate_cases and held_out:
            check_labels(dataset, task)
        scans = dataset.training or dataset.validation or dataset.test
        return cls(
            tuple(case.image for case in scans),
            tuple(held_out[:most_gate_cases]),
            dataset.ignore,
            trained_on_calibration=bool(dataset.training),
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

    @property
    def warning(self) -> str | None:
        """Why the gate's Dice is missing or says too much; None if neither is so."""
        if not self.gate:
            return "no held-out case with a label map: the bundle will carry no Dice"
        reasons: list[str] = []
        if {Path(image) for image, _ in self.gate} & {Path(image) for image in self.calibration}:
            reasons.append(
                "a gate case is a training case too: its Dice says nothing about new scans"
                if self.trained_on_calibration
                else "a gate case calibrates int8 too: its Dice says less about int8 on new scans"
            )
        if len(self.gate) < FEWEST_GATE_CASES:
            reasons.append(
                f"expected at least {FEWEST_GATE_CASES} gate cases, got {len(self.gate)}: losses may not show"
            )
        return "; ".join(reasons) or None


def checked_collection(name: str, value: Any, expected: str) -> tuple[Any, ...]:
    """Accepts what `arguments.sequence` accepts but iterators, which would be empty after the check.

    Raises:
        UsageError: anything else.
    """
    if not isinstance(value, Collection):
        arguments.refuse(name, expected, value)
    return arguments.sequence(name, value, expected)
