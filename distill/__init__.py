"""Distillation: trains small students from labels and from a teacher's probabilities.

Importing this package is light; torch is imported with the first name that needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_names import lazy_names
from ..training.patch_rule import PatchRule
from .defaults import default_recipe
from .students.registry import STUDENTS, build_student
from .students.spec import StudentSpec

if TYPE_CHECKING:
    from .locator import locator_task
    from .loss import DistillationLoss
    from .sweep.results import SweepResults
    from .sweep.sweep import sweep_lambda
    from .targets import cache_targets
    from .train import distill
    from .trained import load_locator, load_student

__all__ = [
    "STUDENTS",
    "DistillationLoss",
    "PatchRule",
    "StudentSpec",
    "SweepResults",
    "build_student",
    "cache_targets",
    "default_recipe",
    "distill",
    "load_locator",
    "load_student",
    "locator_task",
    "sweep_lambda",
]

_HOME = {
    "DistillationLoss": "loss",
    "SweepResults": "sweep.results",
    "cache_targets": "targets",
    "distill": "train",
    "load_locator": "trained",
    "load_student": "trained",
    "locator_task": "locator",
    "sweep_lambda": "sweep.sweep",
}


__getattr__ = lazy_names(globals(), _HOME)
