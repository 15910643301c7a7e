"""Every family of teachers teaches: by itself, and several of them together, each on windows of its own patch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from bedside.runtime.files.hashing import file_sha256
from bedside.runtime.labels.probabilities import LEVELS
from bedside.teacher.families import TEACHERS, teacher_config
from bedside.teacher.train import load_teacher, train_teacher
from bedside.training.data.prepare import prepare_cases
from bedside.training.data.soft_labels import SoftLabels
from bedside.training.loop.hardware import Hardware
from bedside.training.loop.validate import predict_probabilities
from bedside.training.recipe import Recipe
from bedside.training.runs.run import Run

from .tiny_runs import taught

PATCHES = {"autosam": (32, 32, 32), "3d-sautomed": (32, 32, 16), "self-prompt-sam": (48, 32, 16)}  # x, y, z
ONE_STEP = Recipe(epochs=1, steps_per_epoch=1, batch=1, warmup=0, auxiliary_alone=0)


@pytest.fixture(scope="module")
def one_case(dataset):
    return replace(dataset, training=dataset.training[:1])


@pytest.fixture
def trained(tmp_path, one_case, coarse_task):
    """Trains the smallest network of a family for one step, on a grid so coarse that a scan is one window."""

    def train(family, patch):
        config = teacher_config(family, **TEACHERS.find(family).smallest)
        task, out = coarse_task.replaced(spacing=(16, 16, 16), patch=patch), tmp_path / family
        train_teacher(one_case, task, out, config=config, recipe=ONE_STEP, hardware=Hardware("cpu"))
        return out

    return train


def recorded_and_trained(student, runs):
    """Returns whether a run of a student names these teachers with their hashes, and has learned from them."""
    recorded = [(teacher.name, teacher.sha256) for teacher in student.config.distillation.teachers]
    expected = [(run.name, file_sha256(Run.open(run).best)) for run in runs]
    return recorded == expected and float(student.rows()[-1]["gradient_teacher"]) > 0


def test_networks_of_three_families_teach_together_by_their_mean(tmp_path, one_case, trained):
    runs = [trained(family, patch) for family, patch in PATCHES.items()]
    student = taught(tmp_path / "student", one_case, runs)
    assert recorded_and_trained(student, runs)

    (case,) = prepare_cases(one_case.training, student.config.task, tmp_path / "bedside-cases")
    (facts,) = case.folder.glob("teacher-*/soft_labels.json")
    stored = SoftLabels.open(facts.parent).arrays().whole()[1:] / LEVELS  # background is what the rounded organs leave
    each = []
    for network, run in map(load_teacher, runs):
        each.append(predict_probabilities(network, case, run.config.task, overlap=0.5, device=torch.device("cpu")))
    organs = np.stack(each)[:, 1:]
    assert stored == pytest.approx(organs.mean(axis=0), abs=1 / LEVELS)
    assert all(np.abs(stored - one).max() > 10 / LEVELS for one in organs)


@pytest.mark.parametrize("family", ["segresnet", "swinunetr"])
def test_a_network_of_monai_teaches(tmp_path, one_case, trained, family):
    run = trained(family, (64, 32, 32))
    assert recorded_and_trained(taught(tmp_path / "student", one_case, run), [run])
