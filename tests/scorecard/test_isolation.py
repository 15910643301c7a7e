"""The device runtime reaches neither torch nor anything that runs code from data."""

import ast
from pathlib import Path

RUNTIME = sorted((Path(__file__).resolve().parents[2] / "runtime").rglob("*.py"))
FORBIDDEN_MODULES = {"torch", "pickle", "marshal", "shelve", "dill", "joblib", "socket", "urllib", "http", "requests"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}


def names_used(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.split(".")[0]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield f"{node.func.id}()"


def test_11_runtime_names_no_torch_pickle_eval_or_network(count):
    forbidden = FORBIDDEN_MODULES | {f"{name}()" for name in FORBIDDEN_CALLS}
    for path in RUNTIME:
        assert not forbidden & set(names_used(ast.parse(path.read_text()))), path.name
        count["files clean"] += 1
    assert len(RUNTIME) > 20
