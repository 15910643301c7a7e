"""What `export_bundle` takes."""

import pytest
from bedside.export import export_bundle
from bedside.runtime.errors import UsageError


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": None}, "model: expected a Module, got None"),
        ({"task": "btcv"}, 'task: expected a Task, got "btcv"'),
        ({"out": 3}, "out: expected a path"),
        ({"student": ""}, 'student: expected a text, got ""'),
        ({"calibration": "scan.nii.gz"}, 'calibration: expected a list of paths, got "scan.nii.gz"'),
        ({"gate": ["a.nii.gz"]}, 'gate: expected a list of paths, got "a.nii.gz"'),
        ({"gate": [("a.nii.gz",)]}, r"gate: expected a list of pairs \(image, label map\)"),
        ({"precisions": "fp32"}, 'precisions: expected a list of names, got "fp32"'),
        ({"precisions": ["fp16"]}, "precision: expected fp32 or fp32,int8, got fp16"),
        ({"lam": 2}, "lam: expected a number in 0…1, got 2"),
        ({"overlap": "half"}, 'overlap: expected 0 ≤ overlap < 1, got "half"'),
        ({"patches": 0}, "patches: expected a whole number from 1 up, got 0"),
        ({"threads": 1.5}, "threads: expected a whole number from 1 to 1024, got 1.5"),
        ({"force": "yes"}, 'force: expected True or False, got "yes"'),
        ({"postprocessing": {}}, "postprocessing: expected a Postprocessing, got a dict"),
        ({"licence": None}, "licence: expected a str, got None"),
        ({"training": 3}, "training: expected a Mapping, got 3"),
    ],
)
def test_export_says_what_it_takes_and_writes_nothing(toy_student, toy_task, tmp_path, options, words):
    good = {
        "model": toy_student,
        "task": toy_task,
        "out": tmp_path / "x.bedside",
        "student": "toy",
        "precisions": ["fp32"],
    }
    with pytest.raises(UsageError, match=words):
        export_bundle(**{**good, **options})
    assert not (tmp_path / "x.bedside").exists()


def test_export_refuses_wrong_arguments(refusals, toy_student, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [
        "out", "student", "calibration", "gate", "precisions", "teacher", "lam", "data_hash", "training", "overlap",
        "overlap_reason", "postprocessing", "licence", "patches", "threads", "force", "progress",
    ]  # fmt: skip
    good = {"model": toy_student, "task": None, **dict.fromkeys(names)}
    assert refusals(export_bundle, good) == set(good)
