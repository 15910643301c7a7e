"""The benchmark of the demo makes a row of each seed's results, and repeats no finished demo."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from bedside.cli.demo.command import LARGE_ORGANS

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "demo"
MEANS = {"baseline": 0.25, "fp32": 0.5, "int8": 0.5, "teacher": 0.75}
RESULTS = {
    "dice": {
        model: {**dict.fromkeys(LARGE_ORGANS, mean), "spleen": mean / 2, "aorta": mean * 1.5}
        for model, mean in MEANS.items()
    },
    "stages": [{"seconds": 60.0}, {"seconds": 30.0}],
}


@pytest.fixture
def seeds(import_script):
    return import_script(FOLDER, ["seeds"])("seeds")


def test_a_row_has_the_means_the_gain_the_least_large_organ_and_the_minutes(seeds):
    *_, row = seeds.table({3: RESULTS}).splitlines()
    assert row == "| 3 | 0.250 | 0.500 | 0.250 | 0.500 | 0.750 | 0.250 | 1.5 |"


@pytest.mark.parametrize("code", [0, 6])
def test_a_demo_is_run_once_also_if_it_asks_for_a_review(seeds, tmp_path, monkeypatch, code):
    ran = []

    def demo(command):
        ran.append(command[3:])
        (tmp_path / "results.json").write_text(json.dumps(RESULTS))
        return SimpleNamespace(returncode=code)

    monkeypatch.setattr(subprocess, "run", demo)
    assert [seeds.run_demo(tmp_path, 4) for _ in range(2)] == [RESULTS, RESULTS]
    assert ran == [["demo", "-o", str(tmp_path), "--seed", "4", "--quiet"]]


def test_a_demo_that_fails_ends_it_with_its_exit_code(seeds, tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda _: SimpleNamespace(returncode=5))
    with pytest.raises(SystemExit, match="5"):
        seeds.run_demo(tmp_path, 4)
