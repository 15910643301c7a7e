"""The settings of a comparison of students, and where a run's files are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bedside.benchmarks.shared.plan import TrainingPlan

if TYPE_CHECKING:
    from bedside.runtime.task import Task

PRECISIONS = ("fp32", "int8")


class Plan(TrainingPlan, frozen=True, kw_only=True):
    """Settings that all runs of a folder share; further ones are `TrainingPlan`'s.

    Attributes:
        seconds: CPU seconds of each student's training.
    """

    seconds: float

    def task_of(self, student: str) -> Task:
        """Returns the data set's task; its patch is enlarged where the student does not accept it."""
        from bedside.distill import STUDENTS

        patch = STUDENTS.find(student).patch_rule.covering(self.task.patch.dhw)
        return self.task.replaced(patch=patch.xyz)


def run_folder(out: Path, student: str, seed: int) -> Path:
    """Returns the folder of a run: ``run``, ``student.bedside``, and label maps and scores of each precision."""
    return out / "runs" / f"{student}_{seed}"


def run_folders(out: Path, student: str) -> list[Path]:
    """Returns the folders of a student's runs, of all seeds; those of ``a_b_0`` are none of ``a``'s."""
    folders = sorted((out / "runs").glob(f"{student}_*"))
    return [folder for folder in folders if folder.name.rpartition("_")[0] == student]


def scores_file(folder: Path, precision: str) -> Path:
    """Returns the file of a run's scores on the test cases in one precision."""
    return folder / f"scores-{precision}.csv"


def is_done(out: Path, student: str, seed: int) -> bool:
    """Returns whether a run is trained, exported and scored."""
    return all(scores_file(run_folder(out, student, seed), precision).exists() for precision in PRECISIONS)
