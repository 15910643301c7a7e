"""What a distillation does where nothing else is asked for: its recipe, its λ, its share of scans without labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..training.recipe import Recipe
from .locator import LOCATOR_STUDENT
from .students.registry import STUDENTS

if TYPE_CHECKING:
    from ..training.data.dataset import Dataset

LAMBDA = 0.5
UNLABELLED_SHARE = 0.5


def default_student(*, locator: bool = False) -> str:
    """Returns the name of the network that is trained, or trained as a locator, where none is named."""
    return LOCATOR_STUDENT if locator else STUDENTS.own[0]


def default_recipe(student: str, *, locator: bool = False) -> Recipe:
    """Returns the recipe that a student brings, for any task: `Recipe.for_task` adds what the task brings.

    A locator's has no class offsets: those that give an organ its best Dice may make it smaller, and a locator must not
    miss the end of one.

    Args:
        student: name in `STUDENTS`.
        locator: whether it is trained as a locator.

    Raises:
        UsageError: no student has this name.
    """
    recipe = STUDENTS.find(student).recipe
    return msgspec.structs.replace(recipe, class_offsets=False) if locator else recipe


def default_lambda(*, taught: bool, locator: bool, init: bool) -> float:
    """Returns λ: 0.5; 1, labels alone, for a locator and for one that starts from an earlier student, if none teaches.

    Any other student without a teacher gets a λ that asks for one, and is refused: a baseline is asked for by λ = 1.

    Args:
        taught: whether there are teachers.
        locator: whether a locator is trained.
        init: whether the training starts from the weights of an earlier run.
    """
    return 1.0 if (locator or init) and not taught else LAMBDA


def default_unlabelled_share(dataset: Dataset, lam: float, *, taught: bool, pseudo_labels: bool) -> float:
    """Returns the share of crops from scans without labels: half, or none where there are none or they teach nothing.

    Args:
        dataset: the data set.
        lam: λ of the distillation loss.
        taught: whether there are teachers.
        pseudo_labels: whether the teachers label these scans.
    """
    return UNLABELLED_SHARE if dataset.unlabelled and taught and (lam < 1 or pseudo_labels) else 0.0
