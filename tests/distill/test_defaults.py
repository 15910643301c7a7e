"""What a student trains with where nothing else is asked for, by the command and in Python alike."""

import json
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from bedside.cli.main import run
from bedside.distill import distill
from bedside.distill.defaults import default_lambda, default_recipe, default_unlabelled_share
from bedside.runtime.task_presets import PRESETS
from bedside.training.data.dataset import load_dataset
from bedside.training.loop.fit import FitResult
from bedside.training.recipe import AUGMENTATION

PELVIC = PRESETS["pelvic"]  # whose augmentation is not the default one
TEACHER = Path("teacher")


@pytest.fixture
def trained(monkeypatch):
    """Recipes and λ of the trainings that are asked for; none of them is carried out."""
    asked = []

    def train(job, open_method, hooks):
        asked.append((job.recipe, open_method().lam))
        return FitResult(None, 0.0)

    monkeypatch.setattr("bedside.distill.train.train", train)
    monkeypatch.setattr("bedside.distill.train._DistilledStudent.open", lambda kind, student, options, *_: options)
    return asked


@pytest.fixture
def data(tmp_path):
    """A data set for the pelvis, with a scan without labels."""
    for name in ("case", "scan"):
        (tmp_path / f"{name}.nii.gz").touch()
    entry = [{"image": "case.nii.gz", "label": "case.nii.gz"}]
    content = {"labels": PELVIC.labels, "training": entry, "unlabeled": ["scan.nii.gz"]}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    return tmp_path


@pytest.mark.parametrize("student", ["unet-edge-tiny", "swinunetr-tiny"])
@pytest.mark.parametrize(
    ("words", "given", "lam", "share"),
    [
        (["--teacher", "teacher"], {"teacher": TEACHER}, 0.5, 0.5),
        (["--lambda", "1"], {"lam": 1.0}, 1.0, 0.0),
        (["--locator"], {"locator": True}, 1.0, 0.0),
        (["--locator", "--teacher", "teacher"], {"locator": True, "teacher": TEACHER}, 0.5, 0.5),
        (["--init", "teacher"], {"init": TEACHER}, 1.0, 0.0),
        (
            ["--teacher", "teacher", "--lambda", "1", "--pseudo-labels"],
            {"teacher": TEACHER, "lam": 1.0, "pseudo_labels": True},
            1.0,
            0.5,
        ),
    ],
)
def test_python_without_a_recipe_trains_as_the_command_without_options(
    student, words, given, lam, share, data, trained, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert run(["distill", str(data), "--task", "pelvic", "--student", student, "-o", "command", "-q", *words]) == 0
    distill(load_dataset(data), tmp_path / "python", student=student, task=PELVIC, **given)
    command, python = trained
    assert python == command
    recipe = default_recipe(student, locator=given.get("locator", False))
    own = msgspec.structs.replace(recipe, augmentation=AUGMENTATION["pelvic"], unlabelled=share)
    assert python == (own, lam)


def test_a_recipe_that_is_given_stays_as_it_is(data, trained, tmp_path):
    recipe = default_recipe("unet-edge-tiny")
    distill(load_dataset(data), tmp_path / "run", student="unet-edge-tiny", teacher=TEACHER, task=PELVIC, recipe=recipe)
    assert trained == [(recipe, 0.5)]


def test_a_locators_recipe_has_no_class_offsets_for_it_must_not_miss_an_organs_end():
    student, locator = (default_recipe("unet-edge-tiny", locator=locator) for locator in (False, True))
    assert student.class_offsets
    assert not locator.class_offsets
    assert msgspec.structs.replace(locator, class_offsets=True) == student


@pytest.mark.parametrize(
    ("taught", "locator", "init", "lam"),
    [
        (False, False, False, 0.5),  # and is refused, as it needs a teacher
        (True, False, False, 0.5),
        (True, True, True, 0.5),
        (False, True, False, 1.0),
        (False, False, True, 1.0),
    ],
)
def test_lambda_is_one_for_what_makes_sense_without_a_teacher(taught, locator, init, lam):
    assert default_lambda(taught=taught, locator=locator, init=init) == lam


@pytest.mark.parametrize(
    ("scans", "lam", "taught", "pseudo_labels", "share"),
    [
        (1, 0.5, True, False, 0.5),
        (1, 1.0, True, True, 0.5),
        (1, 1.0, True, False, 0.0),
        (1, 0.5, False, False, 0.0),
        (0, 0.5, True, True, 0.0),
    ],
)
def test_half_of_the_crops_come_from_scans_that_can_teach(scans, lam, taught, pseudo_labels, share):
    dataset = SimpleNamespace(unlabelled=["a scan"] * scans)
    assert default_unlabelled_share(dataset, lam, taught=taught, pseudo_labels=pseudo_labels) == share
