"""The options that change the recipe of a training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

import msgspec
import typer

from ...runtime.errors import FieldError, UsageError
from ...runtime.task import Task
from ...training.recipe import LARGEST_SEED, Augmentation, Recipe

_PANEL = "Recipe"


@dataclass(frozen=True, kw_only=True)
class RecipeOptions:
    """Options of the recipe; one left at its default keeps the recipe's value."""

    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            help="Number of epochs.",
            show_default="200",
            rich_help_panel=_PANEL,
        ),
    ] = None
    steps_per_epoch: Annotated[
        int | None,
        typer.Option(
            "--steps-per-epoch",
            help="Optimiser steps per epoch.",
            show_default="one crop per training case",
            rich_help_panel=_PANEL,
        ),
    ] = None
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch", help="Crops per forward pass on each device.", show_default="1", rich_help_panel=_PANEL
        ),
    ] = None
    accumulate: Annotated[
        int | None,
        typer.Option(
            "--accumulate", help="Forward passes per step on each device.", show_default="1", rich_help_panel=_PANEL
        ),
    ] = None
    lr: Annotated[
        float | None, typer.Option("--lr", help="Base learning rate.", show_default="0.0005", rich_help_panel=_PANEL)
    ] = None
    optimizer: Annotated[
        Literal["adamw", "sgd"] | None,
        typer.Option(
            "--optimizer",
            help="AdamW, or SGD with Nesterov's momentum.",
            show_default="adamw",
            rich_help_panel=_PANEL,
        ),
    ] = None
    momentum: Annotated[
        float | None,
        typer.Option("--momentum", help="Momentum of SGD.", show_default="0.99", rich_help_panel=_PANEL),
    ] = None
    weight_decay: Annotated[
        float | None,
        typer.Option(
            "--weight-decay", help="Weight decay of the optimiser.", show_default="1e-05", rich_help_panel=_PANEL
        ),
    ] = None
    clip: Annotated[
        float | None,
        typer.Option(
            "--clip",
            help="Largest norm of the gradient; a larger one is scaled down to it.",
            show_default="1.0",
            rich_help_panel=_PANEL,
        ),
    ] = None
    warmup: Annotated[
        int | None, typer.Option("--warmup", help="Warm-up epochs.", show_default="5", rich_help_panel=_PANEL)
    ] = None
    average_weights: Annotated[
        float | None,
        typer.Option(
            "--average-weights",
            help="Validate and keep a moving average of the weights with this decay, such as 0.998.",
            show_default="0: the last weights",
            rich_help_panel=_PANEL,
        ),
    ] = None
    auxiliary_alone: Annotated[
        float | None,
        typer.Option(
            "--auxiliary-alone",
            help="Share of the epochs, from the first on, in which a network with deep supervision learns by its "
            "auxiliary outputs alone.",
            show_default="0",
            rich_help_panel=_PANEL,
        ),
    ] = None
    positive: Annotated[
        float | None,
        typer.Option(
            "--positive", help="Share of crops centred on an organ.", show_default="0.5", rich_help_panel=_PANEL
        ),
    ] = None
    balance_classes: Annotated[
        bool | None,
        typer.Option(
            "--balance-classes/--no-balance-classes",
            help="Centre organ crops on every organ equally often, small or large.",
            show_default="no",
            rich_help_panel=_PANEL,
        ),
    ] = None
    loss: Annotated[
        Literal["dice-ce", "balanced-dice-ce"] | None,
        typer.Option(
            "--loss",
            help="What labels teach: Dice and cross-entropy, as in the papers, or the same with rare classes weighted "
            "up: small organs are learned many times sooner.",
            show_default="dice-ce",
            rich_help_panel=_PANEL,
        ),
    ] = None
    class_offsets: Annotated[
        bool | None,
        typer.Option(
            "--class-offsets/--no-class-offsets",
            help="At the end, move each class's logit so that the validation cases have the highest Dice.",
            show_default="no",
            rich_help_panel=_PANEL,
        ),
    ] = None
    flip: Annotated[
        float | None,
        typer.Option(
            "--flip",
            help="Probability of flipping a crop, per axis.",
            show_default="the task's",
            rich_help_panel=_PANEL,
        ),
    ] = None
    rotate: Annotated[
        float | None,
        typer.Option(
            "--rotate",
            help="Probability of rotating a crop by multiples of 90° in the axial plane.",
            show_default="the task's",
            rich_help_panel=_PANEL,
        ),
    ] = None
    scale: Annotated[
        float | None,
        typer.Option(
            "--scale",
            help="Probability of multiplying a crop's intensities by 1 ± 0.1.",
            show_default="the task's",
            rich_help_panel=_PANEL,
        ),
    ] = None
    shift: Annotated[
        float | None,
        typer.Option(
            "--shift",
            help="Probability of shifting a crop's intensities by ± 0.1.",
            show_default="the task's",
            rich_help_panel=_PANEL,
        ),
    ] = None
    affine: Annotated[
        float | None,
        typer.Option(
            "--affine",
            help="Probability of rotating a crop by up to 15° about each axis and zooming it by up to 1.2.",
            show_default="0: not in the papers",
            rich_help_panel=_PANEL,
        ),
    ] = None
    contrast: Annotated[
        float | None,
        typer.Option(
            "--contrast",
            help="Probability of raising a crop's intensities to a power of 0.7 to 1.5.",
            show_default="0: not in the papers",
            rich_help_panel=_PANEL,
        ),
    ] = None
    noise: Annotated[
        float | None,
        typer.Option(
            "--noise",
            help="Probability of adding Gaussian noise to a crop, with a standard deviation of up to 0.1.",
            show_default="0: not in the papers",
            rich_help_panel=_PANEL,
        ),
    ] = None
    mirror: Annotated[
        float | None,
        typer.Option(
            "--mirror",
            help="Probability of mirroring a crop left to right; left and right labels change places.",
            show_default="0: not in the papers",
            rich_help_panel=_PANEL,
        ),
    ] = None
    seed: Annotated[
        int,
        typer.Option(
            "--seed", min=0, max=LARGEST_SEED, help="Seed of weights, crops and augmentation.", rich_help_panel=_PANEL
        ),
    ] = 0
    validate_every: Annotated[
        int | None,
        typer.Option("--validate-every", help="Epochs between validations.", show_default="1", rich_help_panel=_PANEL),
    ] = None
    pictures_every: Annotated[
        int | None,
        typer.Option(
            "--pictures-every",
            help="Epochs between pictures of a validation case; 0: none.",
            show_default="10",
            rich_help_panel=_PANEL,
        ),
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
            if option.name in names and getattr(self, option.name) != option.default
        }


def changed_defaults(recipe: Recipe) -> dict[str, str]:
    """Returns the defaults to show in the help where a network's own recipe differs from the papers': name → text."""
    papers = Recipe()
    return {
        name: _shown(getattr(recipe, name))
        for name in papers.__struct_fields__
        if getattr(recipe, name) != getattr(papers, name)
    }


def _shown(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
