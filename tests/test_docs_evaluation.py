"""docs/evaluation.md: the tables it shows are what the command prints, and its CSV what the command writes."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from bedside.cli.main import run
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume

TEXT = (Path(__file__).parents[1] / "docs" / "evaluation.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(sh|text)\n(.*?)```", TEXT, re.DOTALL)
GRID = Grid((40, 40, 20), np.diag([1.0, 1.0, 3.0, 1.0]))


def case(number: int, shift: int, spleen: bool = True) -> np.ndarray:
    """A liver that is cut at one end, a spleen that is moved, and in every other case a gallbladder."""
    labels = np.zeros(GRID.shape, np.uint8)
    labels[4 + shift : 24 + number, 4:24, 2:12] = 1
    if spleen:
        labels[4:12, 26 + shift : 36 + shift, 4:10] = 2
    if number % 2:
        labels[30:36, 30 + shift // 2 : 36, 12:16] = 3
    return labels


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    for name, shift in (("truth", 0), ("student", 1), ("baseline", 3)):
        (folder / name).mkdir()
        for number in range(1, 7):
            extra = number % 2 if name == "student" else 0
            spleen = (name, number) != ("baseline", 4)
            write_volume(folder / name / f"scan_{number}.nii.gz", case(number, shift + extra, spleen), GRID)
    return folder


def test_the_commands_print_what_the_document_shows(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(data)
    monkeypatch.setenv("COLUMNS", "80")
    shown = 0
    for (_, commands), (kind, expected) in itertools.pairwise(BLOCKS):
        if kind != "text":
            continue
        for line in commands.replace("\\\n", " ").splitlines():
            program, *words = shlex.split(line)
            if program == "head":
                print(*Path(words[-1]).read_text().splitlines()[: int(words[0].lstrip("-"))], sep="\n")
            else:
                assert run(words) == 0
        assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == expected.splitlines()
        shown += 1
    assert shown == 3
