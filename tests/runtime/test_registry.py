"""The registry, with a package that is installed for the test: a folder with metadata and a module."""

from __future__ import annotations

from pathlib import Path

import pytest
from bedside.runtime.errors import UsageError
from bedside.runtime.registry import Registry

ENTRIES = """[test.shapes]
prism = shapes_package:PRISM
cube = shapes_package:OTHER_CUBE
wrong = shapes_package:WRONG
broken = no_such_module:ROW
leaving = leaving_package:ROW
"""


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[int]:
    (tmp_path / "shapes_package.py").write_text("PRISM = 5\nOTHER_CUBE = 7\nWRONG = 'five'\n")
    (tmp_path / "leaving_package.py").write_text("import sys\nsys.exit(0)\n")
    metadata = tmp_path / "shapes_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: shapes-package\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(tmp_path)
    return Registry("shape", int, {"cube": 6, "ball": 1}, group="test.shapes")


def test_own_rows_come_first_and_then_those_of_other_packages(shapes: Registry[int]) -> None:
    assert list(shapes) == ["cube", "ball", "prism", "wrong", "broken", "leaving"]
    assert len(shapes) == 6
    assert shapes.find("prism") == 5


def test_another_package_cannot_replace_an_own_row(shapes: Registry[int]) -> None:
    assert shapes.find("cube") == 6


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cone", 'no shape "cone"'),
        ("wrong", 'shape "wrong" of the package shapes-package: expected an int, got a str'),
        ("broken", 'shape "broken" of the package shapes-package cannot be imported: ModuleNotFoundError'),
        ("leaving", 'shape "leaving" of the package shapes-package cannot be imported: SystemExit: 0'),
        (3, "no shape 3; expected one of: cube"),
    ],
)
def test_a_row_that_cannot_be_had_is_refused_by_name(shapes: Registry[int], name: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        shapes.find(name)


def test_rows_that_cannot_be_had_are_left_out_of_those_that_work(shapes: Registry[int], caplog) -> None:
    assert list(shapes.working()) == [("cube", 6), ("ball", 1), ("prism", 5)]
    assert [line.split()[1] for line in caplog.messages] == ['"wrong"', '"broken"', '"leaving"']


def test_a_broken_package_does_not_disturb_the_other_rows(shapes: Registry[int]) -> None:
    assert "broken" in shapes
    assert shapes["ball"] == 1
    with pytest.raises(KeyError):
        shapes["cone"]
