"""Distillation: trains small students from labels and from a teacher's probabilities.

Importing this package is light; torch is imported with the first name that needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_names import lazy_names
from .students import STUDENTS, PatchRule, StudentSpec, build_student

if TYPE_CHECKING:
    from .loss import DistillationLoss
    from .targets import cache_targets
    from .train import distill
    from .trained import LoadedStudent, load_student

__all__ = [
    "STUDENTS",
    "DistillationLoss",
    "LoadedStudent",
    "PatchRule",
    "StudentSpec",
    "build_student",
    "cache_targets",
    "distill",
    "load_student",
]

_HOME = {
    "DistillationLoss": "loss",
    "LoadedStudent": "trained",
    "cache_targets": "targets",
    "distill": "train",
    "load_student": "trained",
}


__getattr__ = lazy_names(globals(), _HOME)
