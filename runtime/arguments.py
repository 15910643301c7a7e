"""Checks for the arguments of public calls: each returns the value to use, or raises `UsageError`.

The error says what was expected and what came. NumPy scalars are accepted as numbers; True and False are not numbers.
The checks do not import NumPy, so that light commands start fast.

>>> whole_number("threads", 4, low=1)
4
"""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeVar

from .axes import DHW
from .errors import UsageError
from .shown_value import shown, with_article

MOST_THREADS = 1024  # more never helps, and tens of thousands bring a machine to a standstill
_LARGEST_FLOAT32 = (2 - 2**-23) * 2.0**127
_AXES = ({"L", "R"}, {"A", "P"}, {"S", "I"})

_Value = TypeVar("_Value")
_Options = ParamSpec("_Options")


def optional(
    check: Callable[Concatenate[str, Any, _Options], _Value],
    name: str,
    value: Any,
    *args: _Options.args,
    **options: _Options.kwargs,
) -> _Value | None:
    """Accepts None, or a value that another check accepts.

    Args:
        check: the other check, such as `whole_number`.
        name: name of the argument, for the message.
        value: the value that the caller gave.
        args: further positional arguments of ``check``.
        options: further keyword arguments of ``check``.
    """
    return None if value is None else check(name, value, *args, **options)


def whole_number(name: str, value: Any, low: int | None = None, high: int | None = None) -> int:
    """Accepts a whole number from ``low`` to ``high``, None for no limit; 4.0 is refused like 4.5, never truncated.

    Raises:
        UsageError: anything else.
    """
    whole = _whole(value)
    if whole is not None and (low is None or whole >= low) and (high is None or whole <= high):
        return whole
    limits = "" if low is None else f" from {low} up" if high is None else f" from {low} to {high}"
    refuse(name, f"a whole number{limits}", value)


def number(
    name: str, value: Any, expected: str = "a finite number", accepts: Callable[[float], bool] | None = None
) -> float:
    """Accepts a finite real number.

    Args:
        name: name of the argument, for the message.
        value: the value that the caller gave.
        expected: description of the expected value, for the message.
        accepts: returns whether the number is in range; None accepts every finite one.

    Raises:
        UsageError: anything else.
    """
    if not isinstance(value, bool) and isinstance(value, Real):
        try:
            given = float(value)
        except OverflowError:  # an integer that no float can hold
            given = math.inf
        if math.isfinite(given) and (accepts is None or accepts(given)):
            return given
    refuse(name, expected, value)


def float32(name: str, value: Any) -> float:
    """Accepts a number that float32 can hold.

    Raises:
        UsageError: anything else.
    """
    return number(name, value, "a finite number that float32 can hold", lambda given: abs(given) <= _LARGEST_FLOAT32)


def overlap_share(name: str, value: Any) -> float:
    """Accepts the overlap of windows, as a fraction of a window, 0 ≤ overlap < 1.

    Raises:
        UsageError: anything else.
    """
    return number(name, value, f"0 ≤ {name} < 1", lambda given: 0 <= given < 1)


def share(name: str, value: Any) -> float:
    """Accepts a number from 0 to 1, both included.

    Raises:
        UsageError: anything else.
    """
    return number(name, value, "a number in 0…1", lambda given: 0 <= given <= 1)


def flag(name: str, value: Any) -> bool:
    """Accepts True or False, also NumPy's; refuses a string such as "no", which Python would count as true.

    Raises:
        UsageError: anything else.
    """
    if isinstance(value, bool) or (type(value).__module__ == "numpy" and type(value).__name__ in ("bool", "bool_")):
        return bool(value)
    refuse(name, "True or False", value)


def text(name: str, value: Any) -> str:
    """Accepts a string that is not empty.

    Raises:
        UsageError: anything else.
    """
    if isinstance(value, str) and value:
        return value
    refuse(name, "a text", value)


def one_of(name: str, value: Any, choices: Iterable[str]) -> str:
    """Accepts one of the given names.

    Raises:
        UsageError: anything else.
    """
    names = list(choices)
    if isinstance(value, str) and value in names:
        return value
    refuse(name, ", ".join(names), value)


def known(what: str, value: Any, table: Iterable[str]) -> str:
    """Accepts the name of a row of a registration table: an engine, a student, a teacher.

    Args:
        what: noun for the table's rows, for the message (``"engine"``).
        value: the value that the caller gave.
        table: the names of the rows.

    Raises:
        UsageError: anything else.
    """
    names = list(table)
    if isinstance(value, str) and value in names:
        return value
    raise UsageError(f"no {what} {shown(value)}; expected one of: {', '.join(names)}")


def sequence(name: str, value: Any, expected: str) -> tuple[Any, ...]:
    """Accepts any iterable but strings, bytes and dicts, and returns it as a tuple.

    Raises:
        UsageError: anything else.
    """
    if not isinstance(value, (str, bytes, dict)):
        try:
            return tuple(value)
        except TypeError:  # a single value, or an array without axes
            pass
    refuse(name, expected, value)


def axis_codes(name: str, value: Any) -> str:
    """Accepts three axis codes, one each of L/R, A/P and S/I, in any order (``"RAS"``).

    Raises:
        UsageError: anything else.
    """
    if isinstance(value, str) and is_axis_codes(value):
        return value
    refuse(name, 'axis codes such as "RAS"', value)


def is_axis_codes(codes: str) -> bool:
    """Whether a string names the three axes of the patient, in any order and direction."""
    return len(codes) == 3 and all(len(pair & set(codes)) == 1 for pair in _AXES)


def millimetres(name: str, value: Any) -> tuple[float, float, float]:
    """Accepts a spacing: three lengths in mm, all above 0.

    Raises:
        UsageError: anything else.
    """
    expected = "three steps above 0 mm"
    steps = [number(name, step, expected, lambda given: given > 0) for step in sequence(name, value, expected)]
    if len(steps) == 3:
        return steps[0], steps[1], steps[2]
    refuse(name, expected, value)


def dhw(name: str, value: Any, expected: str = "three whole numbers from 1 up") -> DHW:
    """Accepts (D, H, W), three whole numbers from 1 up.

    Raises:
        UsageError: anything else.
    """
    sizes = [_whole(size) for size in sequence(name, value, expected)]
    accepted = [size for size in sizes if size is not None and size >= 1]
    if len(accepted) == len(sizes) == 3:
        return DHW(*accepted)
    refuse(name, expected, value)


def names(name: str, value: Any) -> tuple[str, ...]:
    """Accepts a list of strings, none of them empty.

    Raises:
        UsageError: anything else.
    """
    return tuple(text(name, each) for each in sequence(name, value, "a list of names"))


def is_path(value: Any) -> bool:
    """Whether a value has a path-like type; the path itself is not checked."""
    return isinstance(value, (str, bytes, os.PathLike))


def path(name: str, value: Any) -> Path:
    """Accepts a path as a string or as a path object.

    Raises:
        UsageError: anything else, bytes and the empty string included.
    """
    if isinstance(value, (str, os.PathLike)):
        try:
            spelled: str | bytes = os.fspath(value)
        except TypeError:  # a path object that returns neither a string nor bytes
            spelled = ""
        if spelled and isinstance(spelled, str):
            return Path(spelled)
    refuse(name, "a path (text or pathlib.Path)", value)


def callback(name: str, value: Any, *parameters: str, does: str = "") -> Callable[..., Any]:
    """Accepts what can be called with so many positional arguments, as far as its signature can be read.

    Args:
        name: name of the argument, for the message.
        value: the value that the caller gave.
        parameters: names of the arguments with which it is called, for the message.
        does: what it does, such as ``"that says whether to stop"``, for the message.

    Raises:
        UsageError: anything else.
    """
    expected = f"a function {name}({', '.join(parameters)}) {does}".rstrip()
    if not callable(value):
        refuse(name, expected, value)
    try:
        inspect.signature(value).bind(*parameters)
    except TypeError:
        raise UsageError(f"{name}: expected {expected}, got one of {inspect.signature(value)}") from None
    except ValueError:  # some functions that are written in C have no signature
        return value
    return value


def instance(name: str, value: Any, kind: type[_Value], advice: str = "") -> _Value:
    """Accepts an object of one type.

    Args:
        name: name of the argument, for the message.
        value: the value that the caller gave.
        kind: the expected type.
        advice: what to do instead, for the message; empty for none.

    Raises:
        UsageError: anything else.
    """
    if isinstance(value, kind):
        return value
    refuse(name, with_article(kind.__name__), value, advice)


def refuse(name: str, expected: str, value: Any, advice: str = "") -> NoReturn:
    """Raises `UsageError` with what was expected, what came, and what to do about it."""
    raise UsageError(f"{name}: expected {expected}, got {shown(value)}" + (f"; {advice}" if advice else ""))


def _whole(value: Any) -> int | None:
    """Returns a whole number as an ``int``; None for anything else, True and False included."""
    return int(value) if not isinstance(value, bool) and isinstance(value, Integral) else None
