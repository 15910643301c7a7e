"""The message for a command line that the parser refuses: its reason, the value given, and the help to read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

_DECIDING = {"bedside train-teacher": "--name", "bedside distill": "--student"}
"""Command → the option that decides which others it has, or their defaults: help without it shows those of another."""


def usage_message(error: Exception, arguments: Sequence[str]) -> str:
    """Returns the one-line message for a parser's error.

    Args:
        error: a click exception, whichever release of click typer contains.
        arguments: the command-line arguments after ``bedside``.
    """
    message = " ".join(str(getattr(error, "format_message", error.__str__)()).split())
    path = getattr(getattr(error, "ctx", None), "command_path", "bedside")  # of the command that was refused
    if not message:
        return f"see '{path} --help'"
    if message.startswith("Invalid value"):
        message = message.replace("Value error, ", "", 1)  # pydantic's, inside some releases of typer
        message = _with_values(message, getattr(error, "param", None), arguments)
    command = f"{path}{_chosen(path, arguments)}"
    return f"{message}{'.' if message[-1].isalnum() else ''} Try '{command} --help'."


def _chosen(path: str, arguments: Sequence[str]) -> str:
    """Returns the option of `_DECIDING` with its value, and a space before it; empty where it was not given."""
    option = _DECIDING.get(path)
    value = "".join(_given([option], arguments, 1)) if option else ""
    return f" {option} {value}" if value else ""


def _with_values(message: str, parameter: object, arguments: Sequence[str]) -> str:
    """Returns the message with the value given to the option, or with how many were given where there are too few."""
    options = [name for name in getattr(parameter, "opts", ()) if name.startswith("-")]
    expected = getattr(parameter, "nargs", 1)
    given = _given(options, arguments, expected)
    shown = " ".join(given)
    if given and len(given) < expected:
        return f"Option '{options[0]}' takes {expected} values, got {len(given)} ('{shown}')."
    return message if shown in message else f"{message.rstrip('.')}, got '{shown}'."


def _given(options: Sequence[str], arguments: Sequence[str], count: int) -> list[str]:
    """Returns the values given to an option, as many as it takes; those after the first end at the next option."""
    for position, word in enumerate(arguments, start=1):
        name, equals, value = word.partition("=")
        if name in options:
            first, *others = [value, *arguments[position:]] if equals else [*arguments[position:], ""]
            # A negative number is no option.
            more = takewhile(lambda each: not each.startswith("-") or each[1:2].isdigit(), others)
            return [first, *more][:count]
    return []
