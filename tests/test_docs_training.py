"""docs/training.md: its example in Python trains by the recipes that the text says."""

import json
import re
from pathlib import Path

import pytest
from bedside.runtime.task_presets import PRESETS
from bedside.training import FitResult, Recipe

TEXT = (Path(__file__).parents[1] / "docs" / "training.md").read_text(encoding="utf-8")


@pytest.fixture
def trained(monkeypatch):
    """The trainings that are asked for; none of them is carried out."""
    jobs = []

    def train(job, open_method, hooks):
        jobs.append(job)
        return FitResult(None, 0.0)

    monkeypatch.setattr("bedside.teacher.train.train", train)
    monkeypatch.setattr("bedside.distill.train.train", train)
    return jobs


def test_the_example_trains_a_teacher_and_a_student(trained, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "case.nii.gz").touch()
    entry = [{"image": "case.nii.gz", "label": "case.nii.gz"}]
    content = {"labels": PRESETS["btcv"].labels, "training": entry}
    (tmp_path / "data" / "dataset.json").write_text(json.dumps(content))
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(example, {})
    teacher, student = trained
    assert teacher.recipe == Recipe(lr=2e-4)
    assert (student.recipe.epochs, student.recipe.warmup, student.recipe.lr) == (100, 2, 0.01)
