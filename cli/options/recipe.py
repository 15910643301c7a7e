"""The options that change the recipe of a training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any

import msgspec
import typer

from ...runtime.errors import FieldError, UsageError
from ...runtime.task import Task
from ...training.recipe import LARGEST_SEED, Augmentation, OptimizerName, Recipe, SegmentationLoss

_PANEL = "Recipe"
_THE_TASKS = "the task's"
_NOT_IN_THE_PAPERS = "0: not in the papers"


def _shown(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _option(text: str, *, of: str = "", default: str = "") -> Any:
    """Returns an option that is None where it is not given.

    Args:
        text: its help.
        of: field of `Recipe` whose default the help shows.
        default: what the help shows in place of such a default.
    """
    shown = default or _shown(getattr(Recipe(), of))
    return typer.Option(help=text, show_default=shown, rich_help_panel=_PANEL)


@dataclass(frozen=True, kw_only=True)
class RecipeOptions:
    """Options of the recipe; one left at its default keeps the recipe's value."""

    epochs: Annotated[int | None, _option("Number of epochs.", of="epochs")] = None
    steps_per_epoch: Annotated[
        int | None, _option("Optimiser steps per epoch.", default="one crop per training case")
    ] = None
    batch: Annotated[int | None, _option("Crops per forward pass on each device.", of="batch")] = None
    accumulate: Annotated[int | None, _option("Forward passes per step on each device.", of="accumulate")] = None
    lr: Annotated[float | None, _option("Base learning rate.", of="lr")] = None
    optimizer: Annotated[OptimizerName | None, _option("AdamW, or SGD with Nesterov's momentum.", of="optimizer")] = (
        None
    )
    momentum: Annotated[float | None, _option("Momentum of SGD.", of="momentum")] = None
    weight_decay: Annotated[float | None, _option("Weight decay of the optimiser.", of="weight_decay")] = None
    clip: Annotated[
        float | None, _option("Largest norm of the gradient; a larger one is scaled down to it.", of="clip")
    ] = None
    warmup: Annotated[int | None, _option("Warm-up epochs.", of="warmup")] = None
    average_weights: Annotated[
        float | None,
        _option(
            "Validate and keep a moving average of the weights with this decay, such as 0.998.",
            default="0: the last weights",
        ),
    ] = None
    auxiliary_alone: Annotated[
        float | None,
        _option(
            "Share of the epochs, from the first on, in which a network with deep supervision learns by its auxiliary "
            "outputs alone.",
            default="0",
        ),
    ] = None
    positive: Annotated[float | None, _option("Share of crops centred on an organ.", of="positive")] = None
    balance_classes: Annotated[
        bool | None, _option("Centre organ crops on every organ equally often, small or large.", of="balance_classes")
    ] = None
    loss: Annotated[
        SegmentationLoss | None,
        _option(
            "What labels teach: Dice and cross-entropy, as in the papers, or the same with rare classes weighted up: "
            "small organs are learned many times sooner.",
            of="loss",
        ),
    ] = None
    class_offsets: Annotated[
        bool | None,
        _option(
            "At the end, move each class's logit so that the validation cases have the highest Dice.",
            of="class_offsets",
        ),
    ] = None
    flip: Annotated[float | None, _option("Probability of flipping a crop, per axis.", default=_THE_TASKS)] = None
    rotate: Annotated[
        float | None,
        _option("Probability of rotating a crop by multiples of 90° in the axial plane.", default=_THE_TASKS),
    ] = None
    scale: Annotated[
        float | None,
        _option("Probability of multiplying a crop's intensities by 1 ± 0.1.", default=_THE_TASKS),
    ] = None
    shift: Annotated[
        float | None, _option("Probability of shifting a crop's intensities by ± 0.1.", default=_THE_TASKS)
    ] = None
    affine: Annotated[
        float | None,
        _option(
            "Probability of rotating a crop by up to 15° about each axis and zooming it by up to 1.2.",
            default=_NOT_IN_THE_PAPERS,
        ),
    ] = None
    contrast: Annotated[
        float | None,
        _option("Probability of raising a crop's intensities to a power of 0.7 to 1.5.", default=_NOT_IN_THE_PAPERS),
    ] = None
    noise: Annotated[
        float | None,
        _option(
            "Probability of adding Gaussian noise to a crop, with a standard deviation of up to 0.1.",
            default=_NOT_IN_THE_PAPERS,
        ),
    ] = None
    mirror: Annotated[
        float | None,
        _option(
            "Probability of mirroring a crop left to right; left and right labels change places.",
            default=_NOT_IN_THE_PAPERS,
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=LARGEST_SEED,
            help="Seed of weights, crops and augmentation.",
            show_default="0",
            rich_help_panel=_PANEL,
        ),
    ] = None
    validate_every: Annotated[int | None, _option("Epochs between validations.", of="validate_every")] = None
    pictures_every: Annotated[
        int | None,
        _option("Epochs between pictures of a validation case; 0: none.", of="pictures_every"),
    ] = None

    def recipe(self, task: Task, default: Recipe, **changes: Any) -> Recipe:
        """Returns a recipe with the task's augmentation and the values of the given options.

        Args:
            task: the task whose augmentation applies.
            default: recipe where no option is given.
            changes: further fields of the recipe that do not have the value of ``default``.

        Raises:
            UsageError: a value is out of range, or an option has no effect.
        """
        try:
            recipe = default.for_task(task, **{**changes, **self._given(Recipe.__struct_fields__)})
            augmentation = msgspec.structs.replace(recipe.augmentation, **self._given(Augmentation.__struct_fields__))
        except FieldError as error:
            raise UsageError(f"training options: {error}") from None
        if self.momentum is not None and recipe.optimizer != "sgd":
            raise UsageError("--momentum goes with --optimizer sgd: leave it out, or give both")
        return msgspec.structs.replace(recipe, augmentation=augmentation)

    def _given(self, names: Sequence[str]) -> dict[str, Any]:
        """Returns the options of these names that were given."""
        return {
            option.name: getattr(self, option.name)
            for option in fields(self)
            if option.name in names and getattr(self, option.name) is not None
        }


def changed_defaults(recipe: Recipe) -> dict[str, str]:
    """Returns the defaults to show in the help where a network's own recipe differs from the papers': name → text."""
    papers = Recipe()
    return {
        name: _shown(getattr(recipe, name))
        for name in papers.__struct_fields__
        if getattr(recipe, name) != getattr(papers, name)
    }
