"""Distillation: trains small students from labels and from a teacher's probabilities."""

from .loss import DistillationLoss
from .students import STUDENTS, StudentSpec, build_student
from .targets import cache_targets
from .train import LoadedStudent, distill, load_student

__all__ = [
    "STUDENTS",
    "DistillationLoss",
    "LoadedStudent",
    "StudentSpec",
    "build_student",
    "cache_targets",
    "distill",
    "load_student",
]
