"""The message for a command line that the parser refuses: its reason, the value given, and the help to read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile


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
    parameter = getattr(error, "param", None)
    options = [name for name in getattr(parameter, "opts", ()) if name.startswith("-")]
    values = _values_given(options, arguments)
    expected = getattr(parameter, "nargs", 1)
    if expected > 1 and len(values) != expected:
        message = f"Option '{options[0]}' takes {expected} values, got {len(values)} ('{' '.join(values)}')."
    given = _given(options, arguments)
    if given is not None and given not in message and message.startswith("Invalid value"):
        message = f"{message.rstrip('.')}, got '{given}'."
    return f"{message}{'.' if message[-1].isalnum() else ''} Try '{path} --help'."


def _given(options: Sequence[str], arguments: Sequence[str]) -> str | None:
    """Returns the value given to an option; None if the arguments have no such option."""
    for word, following in zip(arguments, (*arguments[1:], ""), strict=True):
        name, equals, value = word.partition("=")
        if name in options:
            return value if equals else following
    return None


def _values_given(options: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """Returns the words that follow an option up to the next option; a negative number is no option."""
    start = next((position for position, word in enumerate(arguments, start=1) if word in options), len(arguments))
    return list(takewhile(lambda word: not word.startswith("-") or word[1:2].isdigit(), arguments[start:]))
