"""Names that a caller gives, such as "cpu" or "OpenVINO", are compared without regard to upper and lower case.

What is passed on, recorded and shown is the canonical spelling: that of the table.

>>> canonical("cpu", ["auto", "CPU"])
'CPU'
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from . import arguments


def canonical(name: Any, names: Collection[str]) -> Any:
    """Returns a name as the table spells it; unchanged where the table has no such name, for a check to refuse it.

    Args:
        name: the name that the caller gave.
        names: the names of the table; two that differ in case alone are found by their exact spelling.
    """
    if not isinstance(name, str) or name in names:
        return name
    return next((each for each in names if each.casefold() == name.casefold()), name)


def one_of(name: str, value: Any, choices: Iterable[str]) -> str:
    """Accepts what `arguments.one_of` does, in upper or lower case, and returns the canonical spelling.

    Raises:
        UsageError: anything else.
    """
    names = list(choices)
    return arguments.one_of(name, canonical(value, names), names)


def known(what: str, value: Any, table: Iterable[str]) -> str:
    """Accepts what `arguments.known` does, in upper or lower case, and returns the canonical spelling.

    Raises:
        UsageError: anything else.
    """
    names = list(table)
    return arguments.known(what, canonical(value, names), names)
