"""The errors bedside raises, each with its exit code."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

_BREAK = re.compile(r" *[\t\n\r\f\v]\s*")
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")  # torch emphasises parts of its messages
# (advice that names an option of `bedside segment` or a call of Python, what it says to a command that has neither), in
# this order
_WITHOUT_SEGMENT_OPTIONS = (
    (r"choose one \(--volume[^)]*\)", "store the one to use as a 3D file"),
    (r"choose one \(--use-[^)]*\)", "correct the header, or export the scan again"),
    (r"use the sform \(--use-sform\) or correct", "correct"),
    (r"to segment its series, [^;]* \(Python\), or convert it ", "convert its series "),
    (r", or [^,;]* \(--[^)]*\)", ""),
    (r" \(--[^)]*\)", ""),
)


class ExitCode(IntEnum):
    """Exit codes of the command line, one per kind of outcome."""

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

    The message is one line: what was expected, what came, what to do about it. It may quote a file's name or text from
    a bundle; non-printable characters are escaped, so that they neither break the line nor control the terminal.

    Args:
        message: the line; escaped here.
    """

    exit_code: ExitCode = ExitCode.USAGE

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles class, message and exit code; some classes build their message from other arguments."""
        return _restored, (type(self), str(self)), self.__dict__


def _restored(family: type[BedsideError], message: str) -> BedsideError:
    return family.__new__(family, message)


class UsageError(BedsideError):
    """The call itself is wrong: an unknown name, options that exclude each other, a missing extra."""

    exit_code = ExitCode.USAGE


class FieldError(UsageError, ValueError):
    """A field of a struct (a task, a recipe) has an invalid value.

    It is a ValueError too: msgspec, which reads these structs from files, then adds the position in the file.
    """


@dataclass(frozen=True)
class Choice:
    """One way to read an input that was refused because it can be read in several, or not as it is.

    Attributes:
        parameter: the argument that chooses it, such as ``series`` of `open_series`.
        value: its value.
        text: what it is, for people.
    """

    parameter: str
    value: str
    text: str


class InputError(BedsideError):
    """An input was refused: unreadable file, bad geometry, bad intensities, wrong modality, broken data set.

    Args:
        message: as in `BedsideError`; it names the choices too, as options of the command line.
        choices: how it can be read all the same.
    """

    exit_code = ExitCode.INPUT
    choices: tuple[Choice, ...] = ()

    def __init__(self, message: str = "", choices: Iterable[Choice] = ()) -> None:
        super().__init__(message)
        self.choices = tuple(choices)


class BundleError(BedsideError):
    """A bundle was refused: missing file, wrong hash, unknown schema, or a model that fails its self-test."""

    exit_code = ExitCode.BUNDLE


class ResourceError(BedsideError):
    """Memory or disk space is short, or a device is missing or unusable."""

    exit_code = ExitCode.RESOURCE


class Cancelled(BedsideError):  # noqa: N818 - it is an outcome, not a fault
    """The caller's ``cancel()`` returned true."""

    exit_code = ExitCode.INTERRUPTED


class MissingExtraError(UsageError):
    """A package of an optional extra is not installed.

    Args:
        package: name of the package that could not be imported.
        extra: the extra of ``bedside`` that installs it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install 'bedside[{extra}]'")


def printable(text: str) -> str:
    r"""Returns a text as one printable line.

    Line ends and tabs become spaces; control characters and bytes that are not UTF-8 become escapes. Terminal colours
    and emphasis, which libraries put into their messages, are removed.

    >>> printable("two\nlines")
    'two lines'
    """
    if text.isprintable():
        return text
    signs = _BREAK.sub(" ", _COLOUR.sub("", text))
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in signs)


def reworded(message: str, advice: Iterable[tuple[str, str]]) -> str:
    r"""Returns a message for somebody who does not call the command line, whose options are named in its advice.

    Args:
        message: the message.
        advice: pairs of a regular expression and its replacement, applied one after the other.

    >>> reworded("4 volumes; choose one (--volume N, from 0)", [(r"choose one \(--volume[^)]*\)", "store one alone")])
    '4 volumes; store one alone'
    """
    for pattern, replacement in advice:
        message = re.sub(pattern, replacement, message)
    return message


def without_segment_options(message: str) -> str:
    """Returns a scan reader's message for a command that reads NIfTI alone, without the options of `bedside segment`.

    >>> without_segment_options("repair the scan, or replace them (--replace-nan V)")
    'repair the scan'
    """
    return reworded(message, _WITHOUT_SEGMENT_OPTIONS)


def first_line(error: BaseException) -> str:
    """Returns the first useful line of a library's message, without stack and source paths; 200 characters at most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    useful = [line for line in lines if not line.startswith(("Exception from ", "Check "))]
    return (useful or lines or [type(error).__name__])[0][:200]
