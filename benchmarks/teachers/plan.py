"""The settings of a comparison of teachers, its rows, and where a run's files are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bedside.benchmarks.shared.plan import TrainingPlan
from msgspec.structs import replace

if TYPE_CHECKING:
    from bedside.teacher.config import TeacherConfig
    from bedside.training.recipe import Recipe


@dataclass(frozen=True)
class Row:
    """One network that is trained.

    Attributes:
        family: name of the teacher family.
        options: its options that differ from the family's own.
        auxiliary_alone: share of the epochs in which the prompt generator trains alone, as its paper does.
        lr: factor on the plan's learning rate, found on validation cases of hippocampus.
    """

    family: str
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    auxiliary_alone: float = 0.0
    lr: float = 1.0


TEACHERS: dict[str, Row] = {
    "autosam": Row("autosam"),
    "3d-sautomed": Row("3d-sautomed"),
    "self-prompt-sam": Row("self-prompt-sam", auxiliary_alone=0.2, lr=3.0),
}
"""Name → the three teachers; their mean is the ensemble."""

ABLATIONS: dict[str, Row] = {
    "3d-sautomed, no prompts": Row("3d-sautomed", {"prompts": False}),
    "3d-sautomed, no history": Row("3d-sautomed", {"history": False}),
    "3d-sautomed, end to end": Row("3d-sautomed", {"order": "end"}),
}
"""Name → what the papers take away, or turn round."""

ROWS = {**TEACHERS, **ABLATIONS}

ENSEMBLE = "ensemble"  # the mean of the three teachers' probabilities; it trains nothing


class Plan(TrainingPlan, frozen=True, kw_only=True):
    """Settings that all runs of a folder share; further ones are `TrainingPlan`'s.

    Attributes:
        seconds: CPU seconds of each teacher's training.
        sam: size of SAM's encoder.
        enlarge: pixels per voxel along each side of a slice, for the two that take SAM slice by slice.
        overlap: overlap of neighbouring windows on the test cases, 0…<1.
    """

    seconds: float
    sam: str
    enlarge: int
    overlap: float = 0.5

    def config_of(self, row: Row) -> TeacherConfig:
        """Returns the configuration of a row's network."""
        from bedside.teacher import teacher_config
        from bedside.teacher.sam.config import SliceSamConfig

        config = teacher_config(row.family, sam=self.sam, **row.options)
        sliced = {"enlarge": self.enlarge} if isinstance(config, SliceSamConfig) else {}
        return teacher_config(row.family, sam=self.sam, **sliced, **row.options)

    def recipe_of(self, row: Row, seed: int, steps: int) -> Recipe:
        """Returns the recipe of a row's training of about so many steps."""
        changes = {"auxiliary_alone": row.auxiliary_alone, "lr": row.lr * self.lr}
        return replace(self.recipe(seed, steps), class_offsets=False, **changes)  # two families have no last bias


def run_folder(out: Path, name: str, seed: int) -> Path:
    """Returns the folder of a run: ``run``, ``predictions``, ``facts.json``, ``scores.csv``."""
    return out / "runs" / f"{name.replace(', ', '_').replace(' ', '-')}_{seed}"


def scores_file(out: Path, name: str, seed: int) -> Path:
    """Returns the file of a run's scores on the test cases; a run is done when it is there."""
    return run_folder(out, name, seed) / "scores.csv"
