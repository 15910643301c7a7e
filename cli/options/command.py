"""Commands as dataclasses, a field for each option, a nested dataclass for a group of options; imported when called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar, cast, get_args, get_type_hints

import typer
from typer.core import TyperCommand
from typer.models import ArgumentInfo

from ...runtime.errors import UsageError

_Options = TypeVar("_Options")


class Command(Protocol):
    """A command with its options as fields; calling it does the work and returns the exit code, None for 0."""

    def __call__(self) -> int | None:
        """Does what the command is for."""
        ...


class LazyCommand(TyperCommand):
    """A command that is imported when it is called; before, it has its name and its line in the list of commands.

    Args:
        name: the command's name.
        target: ``module:name`` in `bedside.cli`: the dataclass of the command, or a function that returns what
            `typer_function` makes of one, given the arguments of the call.
        summary: first sentence of the help text.
    """

    def __init__(self, name: str, target: str, summary: str) -> None:
        super().__init__(name, help=summary)
        self._target = target

    def load(self, arguments: Sequence[str] = ()) -> TyperCommand:
        """Imports the command and returns it, with the options that it has in a call with these arguments."""
        module, _, name = self._target.partition(":")
        target = getattr(import_module(f"...{module}", __name__), name)
        app = typer.Typer(add_completion=False)
        app.command(self.name)(typer_function(target) if isinstance(target, type) else target(arguments))
        command = typer.main.get_command(app)
        if not isinstance(command, TyperCommand):
            raise TypeError(f"{self._target}: expected one command, got a group")
        return command

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parses the arguments of a call; the context's command is the one imported.

        Raises:
            UsageError: another option stands in the place of an option's value, and would be taken for it.
        """
        command = self.load(args)
        _check_values(command, args)
        return command.make_context(info_name, args, parent, **extra)


def first_argument(command: TyperCommand, words: Sequence[str]) -> int | None:
    """Returns which word of a call is its first argument: no option, nor an option's value; None where there is none.

    None too where ``--`` comes before it: what follows is an argument, whatever it looks like.
    """
    with_value = _with_value(command)
    is_value = False
    for place, word in enumerate(words):
        if word == "--":
            return None
        if not is_value and not word.startswith("-"):
            return place
        is_value = not is_value and word in with_value
    return None


def _with_value(command: TyperCommand) -> set[str]:
    """Returns the options of a command that a value follows."""
    options = [each for each in command.params if each.param_type_name == "option"]
    return {name for each in options if not getattr(each, "is_flag", False) for name in each.opts}


def _check_values(command: TyperCommand, words: Sequence[str]) -> None:
    """Refuses what the parser would accept: ``-o --overlap 0.5`` writes a file with the name "--overlap"."""
    options = [each for each in command.params if each.param_type_name == "option"]
    names = {"--help", *(name for each in options for name in (*each.opts, *each.secondary_opts))}
    with_value = _with_value(command)
    remaining = iter(words)
    for word in remaining:
        if word == "--":
            return
        if word in with_value and (value := next(remaining, "")) in names:
            raise UsageError(f"option {word} needs a value, and the option {value} follows it")


def last_given(words: Sequence[str], option: str, default: str) -> str:
    """Returns the last value of an option among the words of a command line; its default if it is not given.

    A command whose other options depend on this one is made before typer reads the words.
    """
    value = default
    for position, word in enumerate(words):
        if word == option and position + 1 < len(words):
            value = words[position + 1]
        elif word.startswith(f"{option}="):
            value = word.removeprefix(f"{option}=")
    return value


def typer_function(command: type[Command], defaults: Mapping[str, str] | None = None) -> Callable[..., None]:
    """Returns the function by which typer knows a command; it ends with the command's exit code.

    Its help text is the docstring of the dataclass, a line for each paragraph; its parameters are the fields in their
    order, those of a nested dataclass in the place of that field.

    Args:
        command: a dataclass; each field is ``Annotated`` with a `typer.Option` or `typer.Argument`, or its type is a
            dataclass of such fields.
        defaults: option → default to show in the help, where it is not the one that the field shows.

    Raises:
        TypeError: two options have the same name.
    """
    shown = defaults or {}
    parameters = [_showing(each, shown.get(each.name)) for each in _parameters(command)]
    names = [parameter.name for parameter in parameters]
    if len({*names}) < len(names):
        raise TypeError(f"{command.__name__}: two options have the same name: {', '.join(sorted(names))}")

    def function(**given: Any) -> None:
        code = _built(command, given)()
        if code:
            raise typer.Exit(code)

    # Typer wraps lines itself, and keeps the docstring's line breaks besides.
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    function.__doc__ = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    function.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    return function


def _parameters(options: type) -> Iterator[inspect.Parameter]:
    for field, kind in _typed_fields(options):
        if is_dataclass(kind):
            yield from _parameters(kind)
        else:
            default = inspect.Parameter.empty if field.default is MISSING else field.default
            yield inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _showing(parameter: inspect.Parameter, default: str | None) -> inspect.Parameter:
    """Returns the parameter with another default in its help text; None changes nothing."""
    if default is None:
        return parameter
    kind, described = get_args(parameter.annotation)
    described = copy(described)
    described.show_default = default
    return parameter.replace(annotation=Annotated[kind, described])


def _built(options: type[_Options], given: Mapping[str, Any]) -> _Options:
    values = {
        field.name: _built(kind, given) if is_dataclass(kind) else given[field.name]
        for field, kind in _typed_fields(options)
    }
    return options(**values)


def _typed_fields(options: type) -> Iterator[tuple[Field[Any], type]]:
    types = get_type_hints(options, include_extras=True)
    return ((field, types[field.name]) for field in fields(options) if field.init)


def arguments_of(options: Any) -> list[str]:
    """Returns the command-line arguments that give a command, or a group of options, the values it has.

    Options with their default value are left out.

    Args:
        options: an instance of a dataclass as `typer_function` describes it; its options have at most one value, or
            several that the option's name precedes each.
    """
    words: list[str] = []
    for field, kind in _typed_fields(type(options)):
        value = getattr(options, field.name)
        if is_dataclass(kind):
            words += arguments_of(value)
        elif value != field.default:
            words += _words(field.name, get_args(kind)[1], value)
    return words


def refuse_others(mode: str, others: Any) -> None:
    """Refuses arguments beside those of a mode that uses no others, such as one that only shows a list.

    Args:
        mode: the options that choose the mode, for the message.
        others: the command, as `arguments_of` takes it, with the defaults in place of what the mode uses.

    Raises:
        UsageError: another argument is given.
    """
    words = arguments_of(others)
    if words:
        name = words[0] if words[0].startswith("-") else f'"{Path(words[0]).name}"'
        raise UsageError(f"{mode} shows a list and does nothing else: leave {name} out")


def _words(field: str, described: Any, value: Any) -> list[str]:
    """Returns the words of one option or argument; ``described`` is its `typer.Option` or `typer.Argument`."""
    texts = [str(each.value if isinstance(each, Enum) else each) for each in _values(value)]
    if isinstance(described, ArgumentInfo):
        return texts
    # `typer.Option` in `Annotated` keeps the first name of the option as its default.
    names = (each for each in (described.default, *(described.param_decls or ())) if isinstance(each, str))
    dashed = field.replace("_", "-")
    name = next(names, f"--{dashed}/--no-{dashed}")  # as typer names options that are not named
    name, _, name_of_false = name.partition("/")
    if isinstance(value, bool):
        return [name if value else name_of_false]
    if isinstance(value, list):
        return [word for text in texts for word in (name, text)]
    return [name, *texts]


def _values(value: Any) -> Sequence[Any]:
    return cast("Sequence[Any]", value) if isinstance(value, (list, tuple)) else [value]
