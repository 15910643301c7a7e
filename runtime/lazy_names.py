"""Names of a package whose modules are imported when a name is first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from .extras import extra_named


def lazy_names(namespace: dict[str, Any], home: Mapping[str, str]) -> Callable[[str], Any]:
    """Returns the ``__getattr__`` of a package: imports the module of a name and keeps the value in the package.

    Where that module needs a package of an extra that is not installed, ``__getattr__`` raises `MissingExtraError`.

    Args:
        namespace: ``globals()`` of the package's ``__init__``.
        home: name → module, relative to the package.
    """
    package = namespace["__name__"]

    def get(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with extra_named():
            value = namespace[name] = getattr(import_module(f".{home[name]}", package), name)
        return value

    return get
