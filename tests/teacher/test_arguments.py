"""What the calls of `bedside.teacher` accept."""

import numpy as np
import pytest
from bedside.runtime.errors import UsageError
from bedside.teacher import build_teacher
from bedside.teacher.autosam.config import AutoSamConfig
from bedside.teacher.cost import predict_cost
from bedside.teacher.train import load_teacher, train_teacher

GOOD = {
    "name": "autosam", "num_classes": 3, "sam": "vit_nano", "checkpoint": None, "preset": "paper", "patch": 32,
    "depth_axis": "z", "apg": True, "mlam": True, "checkpoint_activations": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": None}, "no teacher None; expected one of: autosam, autoprosam"),
        ({"sam": 3}, "no SAM size 3; expected one of: vit_b"),
        ({"preset": "Paper"}, 'no teacher preset "Paper"; expected one of: paper, released_code'),
        ({"num_classes": "14"}, 'num_classes: expected a whole number from 2 to 65536, got "14"'),
        ({"num_classes": True}, "num_classes: expected a whole number from 2 to 65536, got True"),
        (
            {"patch": 33},
            r"patch: expected \(D, H, W\) in multiples of 32 voxels, at most 134,217,728 in all, got \(33, 33, 33\)",
        ),
        (
            {"patch": "32"},
            r'patch: expected \(D, H, W\) in multiples of 32 voxels, at most 134,217,728 in all, got "32"',
        ),
        ({"patch": (32, 32)}, r"in multiples of 32 voxels, at most 134,217,728 in all, got \(32, 32\)"),
        ({"patch": (32.0, 32, 32)}, r"in multiples of 32 voxels, at most 134,217,728 in all, got \(32.0, 32, 32\)"),
        ({"apg": "no"}, 'apg: expected True or False, got "no"'),
        ({"checkpoint": 3}, "checkpoint: expected a path"),
    ],
)
def test_build_teacher_refuses_what_it_does_not_accept(arguments, message):
    with pytest.raises(UsageError, match=message):
        build_teacher(**{**GOOD, **arguments})


def test_numpys_integers_are_patches_and_classes():
    assert build_teacher(**{**GOOD, "num_classes": np.int64(3), "patch": np.int64(32)}).patch == (32, 32, 32)


def test_calls_refuse_wrong_arguments(refusals, tmp_path):
    always = {"name", "num_classes", "sam", "preset", "patch"}  # "x" is an axis
    assert refusals(build_teacher, GOOD, [name for name in GOOD if name not in ("apg", "mlam")]) == always
    assert refusals(load_teacher, {"path": tmp_path / "none"}) == {"path"}
    given = dict.fromkeys(["dataset", "task", "out", "config", "recipe", "hardware", "prepared_cases"])
    assert refusals(train_teacher, given) == set(given)
    given = {"config": AutoSamConfig(sam="vit_nano"), "num_classes": 3, "patch": 33, "batch": 1, "precision": "32-true"}
    assert refusals(predict_cost, given) == set(given)  # a patch of 33 is refused last
