"""The message for a command line that the parser refuses: its reason, the value given, and the help to read."""

from __future__ import annotations

from collections.abc import Sequence


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
    options = [name for name in getattr(getattr(error, "param", None), "opts", ()) if name.startswith("-")]
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
