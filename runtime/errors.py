"""The errors bedside raises, each with the exit code of its family."""

from __future__ import annotations

import re
from enum import IntEnum

_BREAK = re.compile(r" *[\t\n\r\f\v]\s*")
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")  # torch emphasises parts of its messages


class ExitCode(IntEnum):
    """Exit codes of the command line, one per family of outcome."""

    OK = 0
    FAULT = 1
    USAGE = 2
    INPUT = 3
    BUNDLE = 4
    RESOURCE = 5
    REVIEW = 6
    INTERRUPTED = 130
    TERMINATED = 143


class BedsideError(Exception):
    """Base of every error bedside raises on purpose.

    The message is one line: what was expected, what came, what to do about it. It may quote a file's name or a bundle's
    words; what cannot be printed there is escaped, so that it neither breaks the line nor commands the terminal.

    Args:
        message: the line.
    """

    exit_code: ExitCode = ExitCode.USAGE

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))


class UsageError(BedsideError):
    """The call itself is wrong: an unknown name, options that exclude each other, a missing extra."""

    exit_code = ExitCode.USAGE


class FieldError(UsageError, ValueError):
    """A field of a struct (a task, a recipe) got a value that it does not take.

    It is a ValueError too: msgspec, which reads these structs from files, then says where in the file the field stands.
    """


class InputError(BedsideError):
    """An input was refused: unreadable file, bad geometry, bad intensities, wrong modality, broken data set."""

    exit_code = ExitCode.INPUT


class BundleError(BedsideError):
    """A bundle was refused: missing file, wrong hash, unknown schema, or a model that fails its self-test."""

    exit_code = ExitCode.BUNDLE


class ResourceError(BedsideError):
    """Memory, disk or a device is missing or not usable."""

    exit_code = ExitCode.RESOURCE


class Cancelled(BedsideError):  # noqa: N818 - it is an outcome, not a fault
    """The caller's ``cancel()`` returned true."""

    exit_code = ExitCode.INTERRUPTED


class MissingExtraError(UsageError):
    """A package of an optional extra is not installed.

    Args:
        package: the import that failed.
        extra: the extra of ``bedside`` that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install 'bedside[{extra}]'")


def printable(text: str) -> str:
    """Returns a text on one line: line ends and tabs as spaces, control characters and what is no UTF-8 as escapes.

    Colours and emphasis for terminals, which libraries put into their messages, go.
    """
    if text.isprintable():
        return text
    signs = _BREAK.sub(" ", _COLOUR.sub("", text))
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in signs)
