"""The measured figures of the students, by benchmarks/students: Dice after equal seconds of training, milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cache
from math import inf
from pathlib import Path

import msgspec

from ...runtime.axes import XYZ
from ...runtime.checked_struct import CheckedStruct
from ...runtime.errors import FieldError, InputError
from ...runtime.files.toml import read_toml
from ...runtime.task import Modality, Task

FILE = Path(__file__).with_name("measured.toml")


class MeasuredDice(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Dice of one student in one precision.

    Attributes:
        mean: mean over organs, test cases and seeds.
        seeds: number of trainings.
        spread: sample standard deviation over the seeds; None with one seed.
    """

    mean: float
    seeds: int
    spread: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.mean <= 1:
            raise FieldError(f"mean: expected a Dice from 0 to 1, got {self.mean:g}")
        if self.seeds < 1:
            raise FieldError(f"seeds: expected at least 1, got {self.seeds}")


class MeasuredTimes(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Milliseconds per window, all measured in one process; on another machine only their ratios mean anything.

    Attributes:
        processor: name of the processor.
        threads: CPU threads.
        milliseconds: student → engine → precision → milliseconds for the volume of the task's window.
    """

    processor: str
    threads: int
    milliseconds: dict[str, dict[str, dict[str, float]]]

    def __post_init__(self) -> None:
        super().__post_init__()
        for student, engines in self.milliseconds.items():
            for engine, precisions in engines.items():
                for precision, milliseconds in precisions.items():
                    if not 0 < milliseconds < inf:
                        where = f"milliseconds of {student}, {engine} {precision}"
                        raise FieldError(f"{where}: expected more than 0, got {milliseconds:g}")

    def __str__(self) -> str:
        return f"{self.threads} thread{'s' * (self.threads > 1)} of {self.processor}"


class StudentComparison(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Students that were trained on one data set for equal CPU seconds, on labels alone.

    Attributes:
        data: name of the data set's task.
        modality: its modality.
        date: day on which the comparison ended.
        seconds: CPU seconds of each training.
        patch: voxels of the task's window, (x, y, z); a student that does not accept it had the smallest larger one.
        test_cases: number of scans that were scored.
        dice: student → precision → Dice.
        times: milliseconds per window of the same students.
    """

    data: str
    modality: Modality
    date: date
    seconds: float
    patch: XYZ
    test_cases: int
    dice: dict[str, dict[str, MeasuredDice]]
    times: MeasuredTimes

    def of(self, student: str, precision: str) -> MeasuredDice | None:
        """Returns a student's Dice in one precision; None where it was not measured."""
        return self.dice.get(student, {}).get(precision)

    def __str__(self) -> str:
        seeds = sorted({each.seeds for precisions in self.dice.values() for each in precisions.values()})
        count = f"{seeds[0]} seed{'s' * (seeds[0] > 1)}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
        return (
            f"{self.data}, {self.test_cases} test cases, after {self.seconds:g} CPU seconds of training on labels "
            f"alone, {count}, {self.date.isoformat()}"
        )


class _File(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    comparisons: tuple[StudentComparison, ...] = ()


@cache
def measured_students(path: Path = FILE) -> tuple[StudentComparison, ...]:
    """Returns every comparison of students that was made; none where the file has none.

    Args:
        path: the file; by default that of this package.

    Raises:
        InputError: it cannot be read, or a field is wrong.
    """
    content = read_toml(path, "figures of students")
    try:
        return msgspec.convert(content, _File).comparisons
    except (msgspec.ValidationError, FieldError) as error:
        raise InputError(f'figures of students "{path.name}": {error}') from None


def comparison_for(task: Task, comparisons: Sequence[StudentComparison]) -> StudentComparison | None:
    """Returns the comparison to rank students by for a task: of its data set, else of its modality, else of any.

    Of several, the one with most seconds of training. None where there is none.
    """

    def nearness(each: StudentComparison) -> tuple[bool, bool, float]:
        return each.data == task.name, each.modality is task.modality, each.seconds

    return max(comparisons, key=nearness, default=None)
