from __future__ import annotations

import json
from pathlib import Path

import pytest
from bedside.cli.phantom import Phantom
from bedside.cli.terminal.console import Console
from bedside.runtime.errors import UsageError


def test_a_data_set_is_written_and_named_in_the_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Phantom(out=tmp_path / "set", cases=1, seed=3, force=False, console=Console(json=True, quiet=True))()
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"dataset": str(tmp_path / "set" / "dataset.json"), "cases": 1, "seed": 3}
    assert (tmp_path / "set" / "imagesTr" / "phantom_000.nii.gz").is_file()


def test_a_folder_with_files_is_left_alone_unless_forced(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="--force"):
        Phantom(out=tmp_path, cases=1, seed=0, force=False, console=Console(json=False, quiet=True))()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    Phantom(out=tmp_path, cases=1, seed=0, force=True, console=Console(json=False, quiet=True))()
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert (tmp_path / "dataset.json").is_file()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        Phantom(out=tmp_path / "file", cases=1, seed=0, force=True, console=Console(json=False, quiet=True))()
