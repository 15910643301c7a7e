from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from bedside.cli.phantom import Phantom
from bedside.cli.terminal.console import Console
from bedside.runtime.errors import UsageError
from bedside.training.phantoms.phantom import generate_phantom


def test_a_data_set_is_written_and_named_in_the_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Phantom(out=tmp_path / "set", cases=1, seed=3, force=False, console=Console(json=True, quiet=True))()
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"dataset": str(tmp_path / "set" / "dataset.json"), "cases": 1, "seed": 3}
    assert (tmp_path / "set" / "imagesTr" / "phantom_000.nii.gz").is_file()


def test_the_number_of_labelled_phantoms_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = partial(generate_phantom, spacing=(20.0, 20.0, 20.0))
    monkeypatch.setattr("bedside.training.phantoms.phantom.generate_phantom", tiny)
    Phantom(out=tmp_path / "set", cases=4, labelled=1, console=Console(quiet=True))()
    listed = json.loads((tmp_path / "set" / "dataset.json").read_text())
    assert [len(listed["training"]), listed["unlabeled"]] == [1, ["imagesTr/phantom_001.nii.gz"]]


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
