"""The options of a teacher family, made from its configuration, and the command that has those of the family named."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import Field
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer
from typer.core import TyperCommand

from ...runtime.errors import InputError
from ...teacher import TEACHERS
from ...teacher.config import OptionKind
from ...training.recipe import Recipe
from .paths import check_readable

DEFAULT = TEACHERS.own[0]


def with_family_options(command: Callable[..., None], family: str) -> Callable[..., None]:
    """Replaces a command's parameter ``options``, a dictionary, by the options of a teacher family.

    Args:
        command: function of the command; its parameter ``name`` is the family's name.
        family: name in `TEACHERS`.

    Raises:
        UsageError: no family has this name.
    """
    config = TEACHERS.find(family).config
    types = get_type_hints(config)
    made = {name: _parameter(each, types[name], f"Teacher {family}") for name, each in config.options().items()}
    own = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for name, parameter in own.parameters.items():
        parameters += made.values() if name == "options" else [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)]

    @functools.wraps(command)
    def merged(**given: Any) -> None:
        options = {name: given.pop(name) for name in made}
        command(options=options, **given)

    merged.__signature__ = own.replace(parameters=parameters)  # pyright: ignore[reportAttributeAccessIssue]
    return merged


def _parameter(option: Field[Any], kind: Any, panel: str) -> inspect.Parameter:
    """Returns the parameter that typer makes an option of: ``--no-NAME`` for a switch that is on by default."""
    flag = f"--{option.name.replace('_', '-')}"
    declared = f" /--no-{flag[2:]}" if option.default is True else flag
    reads = option.metadata["kind"] is OptionKind.FILE
    made = typer.Option(
        declared,
        help=option.metadata["help"],
        show_default=option.default is not True,
        rich_help_panel=panel,
        readable=False,
        callback=_readable if reads else None,
    )
    return inspect.Parameter(
        option.name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=Annotated[kind, made]
    )


def _readable(value: Path | None) -> Path | None:
    return check_readable(value, InputError)


def with_recipe_defaults(command: Callable[..., None], recipe: Recipe) -> Callable[..., None]:
    """Shows a family's own defaults in the help of a training command: where its recipe differs from the papers'."""
    signature, papers = inspect.signature(command), Recipe()
    parameters = dict(signature.parameters)
    for name in papers.__struct_fields__:
        if name in parameters and getattr(recipe, name) != getattr(papers, name):
            kind, shown = get_args(parameters[name].annotation)
            shown = copy(shown)
            shown.show_default = str(getattr(recipe, name))
            parameters[name] = parameters[name].replace(annotation=Annotated[kind, shown])
    command.__signature__ = signature.replace(parameters=list(parameters.values()))  # pyright: ignore[reportFunctionMemberAccess]
    return command


def family_named(words: Sequence[str]) -> str:
    """Returns the value of ``--name`` among the words of a command line; without one, the default family."""
    name = DEFAULT
    for position, word in enumerate(words):
        if word == "--name" and position + 1 < len(words):
            name = words[position + 1]
        elif word.startswith("--name="):
            name = word.removeprefix("--name=")
    return name


def command_by_family(make: Callable[[str], Callable[..., None]]) -> type[TyperCommand]:
    """Returns a command class that has the options of the default family, and parses with those of the family named.

    Args:
        make: returns the function of the command for a family.
    """

    class CommandByFamily(TyperCommand):
        def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
            family = family_named(args)
            if family == DEFAULT:
                return super().make_context(info_name, args, parent, **extra)
            app = typer.Typer(add_completion=False)
            app.command(self.name)(make(family))
            return typer.main.get_command(app).make_context(info_name, args, parent, **extra)

    return CommandByFamily
