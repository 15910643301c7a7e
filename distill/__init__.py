"""Distillation: trains small students from labels and from a teacher's probabilities.

Importing this package is light; torch is imported with the first name that needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .students import STUDENTS, PatchRule, StudentSpec, build_student

if TYPE_CHECKING:
    from .loss import DistillationLoss
    from .targets import cache_targets
    from .train import LoadedStudent, distill, load_student

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
    "LoadedStudent": "train",
    "cache_targets": "targets",
    "distill": "train",
    "load_student": "train",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value
