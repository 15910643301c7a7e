"""What `export_bundle` and its options accept."""

import dataclasses

import pytest
import torch
from bedside.export import ExportCases, ExportedStudent, ExportOptions, export_bundle
from bedside.runtime.errors import UsageError
from bedside.runtime.task_presets import PRESETS


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"task": "btcv"}, 'task: expected a Task, got "btcv"'),
        ({"student": ""}, 'student: expected a text, got ""'),
        ({"lam": 2}, "lam: expected a number in 0…1, got 2"),
        ({"metrics": 3}, "metrics: expected a Mapping, got 3"),
    ],
)
def test_a_student_says_what_it_takes(toy_student, toy_task, options, words):
    with pytest.raises(UsageError, match=words):
        ExportedStudent(**{"model": toy_student, "task": toy_task, "student": "toy", **options})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"calibration": "scan.nii.gz"}, 'calibration: expected a list of paths, got "scan.nii.gz"'),
        ({"calibration": iter(["scan.nii.gz"])}, "calibration: expected a list of paths, got a list_iterator"),
        ({"gate": ["a.nii.gz"]}, 'gate: expected a list of paths, got "a.nii.gz"'),
        ({"gate": [("a.nii.gz",)]}, r"gate: expected a list of pairs \(image, label map\)"),
        ({"ignore": "9"}, 'ignore: expected a whole number, got "9"'),
    ],
)
def test_cases_say_what_they_take(options, words):
    with pytest.raises(UsageError, match=words):
        ExportCases(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dataset": 3}, "dataset: expected a path"),
        ({"gate_cases": -1}, "gate_cases: expected a whole number from 0 up, got -1"),
        ({"cases": 3}, "cases: expected an ExportCases, got 3"),
        ({"dataset": "data", "cases": ExportCases()}, "cases: expected None beside a dataset, got both"),
        ({"precisions": "fp32"}, 'precisions: expected a list of names, got "fp32"'),
        ({"precisions": ["fp16"]}, "precision: expected fp32 or fp32,int8, got fp16"),
        ({"precisions": []}, "precision: expected fp32 or fp32,int8, got none"),
        ({"precisions": ["int8"]}, "int8 is calibrated on scans"),
        ({"overlap": "half"}, 'overlap: expected 0 ≤ overlap < 1, got "half"'),
        ({"patches": 0}, "patches: expected a whole number from 1 up, got 0"),
        ({"threads": 1.5}, "threads: expected a whole number from 1 to 1024, got 1.5"),
        ({"force": "yes"}, 'force: expected True or False, got "yes"'),
        ({"postprocessing": {}}, "postprocessing: expected a Postprocessing, got a dict"),
        ({"licence": None}, "licence: expected a str, got None"),
    ],
)
def test_options_say_what_they_take(options, words):
    with pytest.raises(UsageError, match=words):
        ExportOptions(**{"precisions": ["fp32"], **options})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"student": "toy"}, 'student: expected what load_student returns, or an ExportedStudent, got "toy"'),
        ({"out": 3}, "out: expected a path"),
        ({"options": None}, "options: expected an ExportOptions, got None"),
        ({"progress": 3}, "progress: expected a function"),
    ],
)
def test_export_says_what_it_takes_and_writes_nothing(export_toy, tmp_path, arguments, words):
    with pytest.raises(UsageError, match=words):
        export_bundle(**{**export_toy, **arguments})
    assert not list(tmp_path.iterdir())


def test_a_model_that_is_no_network_is_refused_and_nothing_is_written(toy_task, export_toy, tmp_path):
    student = ExportedStudent(model=None, task=toy_task, student="toy")
    with pytest.raises(UsageError, match="model: expected a Module, got None"):
        export_bundle(**{**export_toy, "student": student})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("good", "always_refused"),
    [
        (ExportCases(), set()),
        (ExportOptions(precisions=["fp32"]), {"precisions"}),
        (ExportedStudent(model=torch.nn.Identity(), task=PRESETS["btcv"], student="toy"), {"task"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_wrong_fields_are_refused(refusals, good, always_refused):
    fields = {field.name: getattr(good, field.name) for field in dataclasses.fields(good)}
    assert refusals(type(good), fields, [name for name in fields if name != "model"]) == always_refused


def test_export_refuses_wrong_arguments(refusals, export_toy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = {**export_toy, "options": None, "progress": None}
    assert refusals(export_bundle, good) == set(good)
