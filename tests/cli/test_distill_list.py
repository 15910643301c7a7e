"""`bedside distill --student list`: what each student costs, without data and without a training."""

import json

import pytest
from bedside.cli.main import run
from bedside.distill import STUDENTS, StudentSpec
from bedside.distill.students.cost import InferenceCost
from bedside.distill.students.measured import MeasuredDice

from .compared_students import hippocampus_comparison


@pytest.fixture(autouse=True)
def costs(monkeypatch):
    monkeypatch.setattr(StudentSpec, "cost", lambda spec, **given: InferenceCost(given["num_classes"], 2, 3))


def test_the_list_needs_no_other_option(capfd):
    assert run(["distill", "--student", "list"]) == 0
    shown = capfd.readouterr().out
    assert "Students: 14 classes, windows of 64×64×64" in shown
    assert all(name in shown for name in STUDENTS)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["{tmp}/data"], '"data"'),
        (["--teacher", "{tmp}/run"], "--teacher"),
        (["-o", "{tmp}/x"], "--output"),
        (["--lr", "1e-3"], "--lr"),
        (["--spacing", "1", "1", "1"], "--spacing"),
    ],
)
def test_the_list_takes_no_argument_that_it_has_no_use_for(words, named, tmp_path, capfd):
    assert run(["distill", "--student", "list", *(word.format(tmp=tmp_path) for word in words)]) == 2
    assert f"--student list shows a list and does nothing else: leave {named} out" in capfd.readouterr().err


def test_the_list_in_json_is_one_object(capfd):
    assert run(["distill", "--student", "list", "--json"]) == 0
    content = json.loads(capfd.readouterr().out)
    assert content["num_classes"] == 14
    assert [each["name"] for each in content["students"]] == list(STUDENTS)
    assert all(each["parameters"] == 14 for each in content["students"])


def test_the_list_has_what_was_measured_with_advice_and_says_where_nothing_was(capfd, monkeypatch):
    dice = {"unet-nano": {"fp32": MeasuredDice(mean=0.7123, seeds=2)}}
    comparison = hippocampus_comparison(dice, {"unet-nano": {"openvino": {"fp32": 12.5}}})
    monkeypatch.setattr("bedside.distill.students.measured.measured_students", lambda: (comparison,))
    assert run(["distill", "--student", "list"]) == 0
    shown = capfd.readouterr().out
    assert "*0.712" in shown
    assert "For the best Dice take unet-nano." in shown
    assert run(["distill", "--student", "list", "--json"]) == 0
    content = json.loads(capfd.readouterr().out)
    students = {each["name"]: each for each in content["students"]}
    assert students["unet-nano"]["milliseconds"] == {"hippocampus": {"openvino": {"fp32": 12.5}}}
    assert students["swinunetr-tiny"]["dice"] == {}
    assert content["comparisons"] == [str(comparison)]
    assert content["timed_on"] == {"hippocampus": "1 thread of EPYC"}
    assert content["advice"][0] == "For the best Dice take unet-nano."
    monkeypatch.setattr("bedside.distill.students.measured.measured_students", lambda: ())
    assert run(["distill", "--student", "list"]) == 0
    assert "Dice and time: not measured yet." in capfd.readouterr().out


def test_task_and_patch_choose_the_classes_and_the_window(capfd):
    assert run(["distill", "--student", "list", "--task", "amos-ct", "--patch", "40", "48", "56", "--json"]) == 0
    content = json.loads(capfd.readouterr().out)
    patches = {each["name"]: each["patch"] for each in content["students"]}
    assert content["num_classes"] == 16
    assert patches["unet-edge-fullres-base"] == [40, 48, 56]
    assert patches["unet-nano"] == [64, 64, 64]


@pytest.mark.parametrize("words", [[], ["data"], ["-o", "run"]])
def test_a_training_needs_data_and_an_output(words, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    assert run(["distill", *words]) == 2
    assert "give a data set and --output; only --student list does without" in capfd.readouterr().err
