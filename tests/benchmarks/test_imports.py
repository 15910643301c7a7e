"""Whatever the benchmarks import from the package exists: most scripts take too long to run in a test."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def imported(file: Path) -> list[tuple[str, str]]:
    """Returns module and name of every ``from bedside… import``."""
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return [
        (node.module, alias.name)
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "bedside"
        for alias in node.names
    ]


def exists(module: str, name: str) -> bool:
    if hasattr(importlib.import_module(module), name):
        return True
    return importlib.util.find_spec(f"{module}.{name}") is not None


@pytest.mark.parametrize("file", sorted(BENCHMARKS.rglob("*.py")), ids=lambda file: str(file.relative_to(BENCHMARKS)))
def test_every_name_that_a_script_imports_exists(file):
    assert [f"{module}.{name}" for module, name in imported(file) if not exists(module, name)] == []
