"""What the calls of `bedside.distill` accept."""

import numpy as np
import pytest
import torch
from bedside.distill import DistillationLoss, build_student, distill, load_student
from bedside.runtime.errors import UsageError
from bedside.training.data.dataset import Dataset
from bedside.training.loop.fit import FitResult
from bedside.training.recipe import Augmentation, Recipe

LOGITS = torch.zeros(1, 3, 4, 16, 16)
TEACHER = LOGITS.softmax(1)
TRUTH = torch.zeros(1, 1, 4, 16, 16, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"name": "nope"},
            'no student "nope"; expected one of: swinunetr-tiny, swinunetr-small, swinunetr-tiny-edge, unet-nano',
        ),
        ({"name": None}, "no student None; expected one of"),
        ({"num_classes": 0}, "num_classes: expected a whole number from 2 to 65536, got 0"),
        ({"num_classes": "14"}, 'num_classes: expected a whole number from 2 to 65536, got "14"'),
        ({"num_classes": True}, "num_classes: expected a whole number from 2 to 65536, got True"),
    ],
)
def test_build_student_refuses_what_it_does_not_accept(arguments, message):
    with pytest.raises(UsageError, match=message):
        build_student(**{"name": "unet-nano", "num_classes": 3, **arguments})


def test_numpys_integers_are_numbers_of_classes():
    assert build_student("unet-nano", num_classes=np.int64(3))(torch.zeros(1, 1, 32, 32, 64)).shape[1] == 3


@pytest.mark.parametrize("lam", [2, -0.1, float("nan"), "0.5", None, True])
def test_lambda_is_a_number_from_zero_to_one(lam):
    with pytest.raises(UsageError, match="lambda: expected a number in 0…1, got"):
        DistillationLoss(lam)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((LOGITS[0], TEACHER, TRUTH), r"student_logits: expected \[B, C, D, H, W\], got \[3, 4, 16, 16\]"),
        ((LOGITS, TEACHER[:, :2], TRUTH), r"teacher_probs: expected the logits' shape \[1, 3, 4, 16, 16\]"),
        ((LOGITS, TEACHER, TRUTH[:, 0]), r"target: expected \[1, 1, 4, 16, 16\] \[B, 1, D, H, W\]"),
        ((LOGITS, LOGITS, TRUTH), "expected probabilities that sum to 1 .* take the softmax of the teacher's logits"),
        ((LOGITS, TEACHER * torch.nan, TRUTH), "expected probabilities"),
        ((LOGITS, TEACHER.numpy(), TRUTH), "teacher_probs: expected a Tensor, got a NumPy array"),
        ((None, TEACHER, TRUTH), "student_logits: expected a Tensor, got None"),
    ],
)
def test_tensors_that_do_not_belong_together_are_refused(given, message):
    with pytest.raises(UsageError, match=message):
        DistillationLoss(0.5)(*given)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_probabilities_in_half_precision_are_probabilities(dtype):
    teacher = torch.randn(1, 14, 4, 16, 16, generator=torch.Generator().manual_seed(0)).softmax(1).to(dtype)
    assert DistillationLoss(0.0)(torch.zeros(1, 14, 4, 16, 16), teacher.float(), TRUTH) > 0


def test_calls_refuse_wrong_arguments(refusals, tmp_path):
    assert refusals(build_student, {"name": "unet-nano", "num_classes": 3}) == {"name", "num_classes"}
    assert refusals(load_student, {"run": tmp_path / "none"}) == {"run"}


def test_a_training_refuses_wrong_arguments_before_it_begins(refusals, tmp_path, task, monkeypatch):
    monkeypatch.setattr("bedside.distill.train.train", lambda *_: FitResult(None, 0.0))
    good = {
        "dataset": Dataset("d", task.labels, (), (), (), tmp_path),
        "out": tmp_path / "run",
        "student": "unet-nano",
        "lam": 1.0,
        "teacher": None,
        "task": task,
        "recipe": Recipe(),
        "imitation": "mse",
        "targets": "cached",
        "init": None,
        "hardware": None,
        "prepared_cases": None,
    }
    assert distill(**good).loss == 0.0
    always = {"dataset", "student", "lam", "imitation", "targets"}
    assert refusals(distill, good) >= always
    with pytest.raises(UsageError, match="recipe: expected a Recipe"):
        distill(**{**good, "recipe": 5})


@pytest.mark.parametrize(
    "fields", [{"epochs": "3"}, {"epochs": 2.5}, {"lr": "fast"}, {"betas": 0.9}, {"precision": "16"}, {"epochs": 0}]
)
def test_a_recipe_of_wrong_fields_is_refused(fields):
    with pytest.raises(UsageError, match=r"(epochs|lr|betas|precision): expected"):
        Recipe(**fields)


def test_an_augmentation_of_wrong_fields_is_refused():
    with pytest.raises(UsageError, match="flip: expected float, got str"):
        Augmentation(flip="often")
