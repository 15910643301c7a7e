"""Scripts of benchmarks, which are no package."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def import_script(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[Path, Sequence[str]], Callable[[str], ModuleType]]]:
    """Returns what imports the scripts of a folder by name; other benchmarks have scripts of the same names."""
    forgotten: list[str] = []

    def of(folder: Path, names: Sequence[str]) -> Callable[[str], ModuleType]:
        for name in names:
            monkeypatch.delitem(sys.modules, name, raising=False)
        forgotten.extend(names)
        monkeypatch.syspath_prepend(str(folder))
        return import_module

    yield of
    for name in forgotten:
        sys.modules.pop(name, None)
