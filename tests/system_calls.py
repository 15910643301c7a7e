"""Replaces functions of `os` and `io` for one test."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest


def replace_call(patch: pytest.MonkeyPatch, module: ModuleType, name: str, function: Callable[..., Any]) -> None:
    """Replaces a function, also where Python 3.10's pathlib has a name of its own for it."""
    patch.setattr(module, name, function)
    names = getattr(pathlib, "_NormalAccessor", None)
    if names is not None and hasattr(names, name):
        patch.setattr(names, name, staticmethod(function))
