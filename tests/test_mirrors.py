"""Every module of the product that has logic has its test file at the same place under `tests/`."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("runtime", "training", "teacher", "distill", "export", "devices", "cli")
MODULES = {str(path.relative_to(ROOT)): path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
ELSEWHERE = {  # module → the file that tests it, because it works only together with others
}


def has_logic(path: Path) -> bool:
    """Whether a module defines a function that does something; constants, records and Protocols need no test."""
    functions = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef))
    return path.name != "__init__.py" and any(not isinstance(function.body[-1], ast.Expr) for function in functions)


def tests_of(module: str) -> list[Path]:
    """Returns the mirror of a module, `test_x.py` for `x.py`, and what is split from it, such as `test_x_read.py`."""
    path = Path("tests", module).with_name(f"test_{Path(module).name}")
    parts = (ROOT / path.parent).glob(f"{path.stem}_*.py")
    own = [part for part in parts if str(Path(module).with_name(part.name.removeprefix("test_"))) not in MODULES]
    return [test for test in (ROOT / path, *own) if test.exists()]


@pytest.mark.parametrize("module", sorted(name for name, path in MODULES.items() if has_logic(path)))
def test_a_module_with_logic_has_tests_at_its_place(module):
    assert tests_of(module) or module in ELSEWHERE, f"write tests/{Path(module).with_name('test_' + Path(module).name)}"
