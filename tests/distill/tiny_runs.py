"""Trainings of a step or two."""

from bedside.distill import distill
from bedside.training.loop.hardware import Hardware
from bedside.training.recipe import Recipe
from bedside.training.runs.run import Run

RECIPE = Recipe(epochs=1, steps_per_epoch=2, batch=2, warmup=0)


def taught(out, dataset, teachers, **changes):
    """Distils a student for one step and returns its run."""
    recipe = Recipe(epochs=1, steps_per_epoch=1, batch=2, warmup=0, unlabelled=changes.pop("unlabelled", 0.0))
    given = {"student": "unet-nano", "lam": 0.5, "teacher": teachers, "task": None, **changes}
    distill(dataset, out, recipe=recipe, hardware=Hardware("cpu"), **given)
    return Run.open(out)
