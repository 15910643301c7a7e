"""What `export_bundle` and its options accept."""

import dataclasses

import pytest
import torch
from bedside.export import ExportCases, ExportOptions, TrainedStudent, export_bundle
from bedside.runtime.errors import UsageError
from bedside.runtime.task_presets import PRESETS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"student": "toy"}, 'student: expected a TrainedStudent, got "toy"; open one with load_student'),
        ({"out": 3}, "out: expected a path"),
        ({"options": None}, "options: expected an ExportOptions, got None"),
        ({"progress": 3}, "progress: expected a function"),
    ],
)
def test_export_refuses_what_it_does_not_accept_and_writes_nothing(export_toy, tmp_path, arguments, message):
    with pytest.raises(UsageError, match=message):
        export_bundle(**{**export_toy, **arguments})
    assert not list(tmp_path.iterdir())


def test_a_model_that_is_no_network_is_refused_and_nothing_is_written(toy_task, export_toy, tmp_path):
    student = TrainedStudent(model=None, task=toy_task, student="toy")
    with pytest.raises(UsageError, match="model: expected a Module, got None"):
        export_bundle(**{**export_toy, "student": student})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("good", "always_refused"),
    [
        (ExportCases(), set()),
        (ExportOptions(precisions=["fp32"]), {"precisions"}),
        (TrainedStudent(model=torch.nn.Identity(), task=PRESETS["btcv"], student="toy"), {"task", "learned_from"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_wrong_fields_are_refused(refusals, good, always_refused):
    fields = {field.name: getattr(good, field.name) for field in dataclasses.fields(good) if field.init}
    assert refusals(type(good), fields, [name for name in fields if name != "model"]) == always_refused


def test_export_refuses_wrong_arguments(refusals, export_toy):
    good = {**export_toy, "options": None, "progress": None}
    assert refusals(export_bundle, good) == set(good)
