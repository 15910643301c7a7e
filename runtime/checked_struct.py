"""Structs whose fields are checked in Python calls too; msgspec by itself only checks what it decodes from a file."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, cast, get_args, get_origin

import msgspec

from .errors import FieldError
from .shown_value import shown


class CheckedStruct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A frozen struct that accepts the same values from Python as from a file.

    Lists become tuples where tuples are declared, ``"CT"`` becomes its enum member, NumPy scalars become Python
    numbers; any other value of a type that was not declared is refused. A subclass with checks of its own calls
    ``super().__post_init__()`` before them.

    Raises:
        FieldError: a field has the wrong type.
    """

    def __post_init__(self) -> None:
        for name, kind in _declared_types(type(self)).items():
            given = getattr(self, name)
            try:
                converted = msgspec.convert(_plain(given), kind)
            except (msgspec.ValidationError, UnicodeEncodeError, TypeError, AttributeError, RecursionError) as error:
                # text that UTF-8 cannot hold raises the second, objects that only resemble lists or mappings the others
                raise FieldError(f"{name}: {_reason(error, given, kind)}") from None
            if converted is not given:
                msgspec.structs.force_setattr(self, name, converted)


@cache
def _declared_types(struct: type[msgspec.Struct]) -> Mapping[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(struct)}


def _plain(value: Any) -> Any:
    """Converts NumPy scalars and arrays to Python numbers and lists, also inside lists and mappings.

    msgspec recognises numbers by their exact type and so refuses NumPy's.
    """
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in cast("dict[Any, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in cast("list[Any]", value)]
    if type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    return value


def _reason(error: Exception, given: Any, kind: Any) -> str:
    """Rewrites msgspec's message ("Expected `int | null`, got `str` - at `$[0]`") in the style of bedside's own."""
    reason, _, place = str(error).partition(" - at `$")
    if reason.startswith("Invalid enum value") and not place:
        others = " or a list" if any(get_origin(option) in (tuple, list) for option in get_args(kind)) else ""
        return f"expected {', '.join(_accepted_strings(kind))}{others}, got {shown(given)}"
    reason = reason.replace("`", "").replace("Expected", "expected").replace("null", "None").replace("array", "list")
    return reason + (f" at {place.rstrip('`')}" if place else "")


def _accepted_strings(kind: Any) -> list[str]:
    """Returns the strings that an enum, a literal or a union with one of them accepts."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [str(member.value) for member in kind]
    each = [[option] if isinstance(option, str) else _accepted_strings(option) for option in get_args(kind)]
    return [name for names in each for name in names]
