"""The options of a teacher family, made from its configuration, for the command line that names it."""

from __future__ import annotations

from dataclasses import Field, make_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from ...runtime.errors import InputError
from ...teacher import TEACHERS
from ...teacher.config import OptionKind
from .paths import check_readable

_Command = TypeVar("_Command")

DEFAULT = TEACHERS.own[0]


def with_family_options(command: type[_Command], family: str) -> type[_Command]:
    """Returns a command's dataclass with a further field, ``family_options``: the options of a teacher family.

    Args:
        command: dataclass of the command.
        family: name in `TEACHERS`.

    Raises:
        UsageError: no family has this name.
    """
    config = TEACHERS.find(family).config
    types = get_type_hints(config)
    panel = f"Teacher {family}"
    options = make_dataclass(
        "FamilyOptions",
        [(name, _annotated(each, types[name], panel), each.default) for name, each in config.options().items()],
        frozen=True,
        kw_only=True,
    )
    extended = make_dataclass(
        command.__name__, [("family_options", options)], bases=(command,), frozen=True, kw_only=True
    )
    extended.__doc__ = command.__doc__
    return extended


def _annotated(option: Field[Any], kind: Any, panel: str) -> Any:
    """Returns the annotation that typer makes an option of.

    A switch that is on by default is ``--no-NAME``; one whose default depends on other options is both.
    """
    flag = f"--{option.name.replace('_', '-')}"
    declared = flag
    if option.default is True:
        declared = f" /--no-{flag[2:]}"
    elif kind == bool | None:
        declared = f"{flag}/--no-{flag[2:]}"
    reads = option.metadata["kind"] is OptionKind.FILE
    made = typer.Option(
        declared,
        help=option.metadata["help"],
        show_default=option.default is not True,
        rich_help_panel=panel,
        readable=False,
        callback=_readable if reads else None,
    )
    return Annotated[kind, made]


def _readable(value: Path | None) -> Path | None:
    return check_readable(value, InputError)
