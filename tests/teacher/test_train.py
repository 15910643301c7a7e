"""What a teacher's run remembers of SAM's weights, and what is said without them; training itself is stubbed."""

import hashlib
import logging
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from bedside.runtime.presets import PRESETS
from bedside.teacher import train as module
from bedside.teacher.train import load_teacher, train_teacher
from bedside.teacher.variants import VARIANTS
from bedside.training.loop.checkpoint import save_weights
from bedside.training.loop.hardware import Hardware
from bedside.training.recipe import Recipe
from bedside.training.runs.run import ModelConfig, Run, RunConfig

TASK = PRESETS["btcv"]


@pytest.fixture
def opened(monkeypatch):
    """The configurations that runs were opened with; network and loop are replaced."""
    configurations = []

    def open_session(dataset, task, out, *, model, recipe, resume, cases, progress):
        configurations.append((model, recipe))
        return SimpleNamespace(run=None, train=[], validation=[])

    monkeypatch.setattr(module, "open_session", open_session)
    monkeypatch.setattr(module, "build_teacher", lambda name, **_: torch.nn.Conv3d(1, 14, 1))
    monkeypatch.setattr(module, "fit", lambda *_, **__: None)
    return configurations


def train(tmp_path, **options):
    train_teacher(None, TASK, tmp_path / "run", recipe=Recipe(), hardware=Hardware("cpu"), **options)


def test_a_run_remembers_sams_weights_by_name_and_content(tmp_path, opened):
    (tmp_path / "sam_vit_b.pth").write_bytes(b"weights of SAM")
    train(tmp_path, checkpoint=tmp_path / "sam_vit_b.pth")
    assert opened[0][0].options == {
        "sam": "vit_b", "preset": "paper", "checkpoint": "sam_vit_b.pth",
        "checkpoint_sha256": hashlib.sha256(b"weights of SAM").hexdigest(),
    }  # fmt: skip


def test_training_a_public_size_without_sams_weights_is_warned_of(tmp_path, opened, caplog):
    train(tmp_path)
    assert "no SAM checkpoint given: the frozen part of vit_b is random" in caplog.text


def test_our_own_small_size_has_no_weights_to_miss(tmp_path, opened, caplog):
    train(tmp_path, sam="vit_nano")
    assert "SAM checkpoint" not in caplog.text


def test_a_trained_teacher_of_a_public_size_opens_without_a_word(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(VARIANTS, "vit_b", replace(VARIANTS["vit_nano"], public=True))  # as vit_b, but small
    task = TASK.replaced(patch=(32, 32, 32))
    model = ModelConfig(kind="teacher", name="autosam", options={"sam": "vit_b", "preset": "paper"})
    run = Run.create(
        tmp_path / "run", RunConfig(model=model, task=task, recipe=Recipe(), dataset="d", data_hash="0"), resume=False
    )
    run.start()
    save_weights(run.best, module.build_teacher("autosam", num_classes=14, sam="vit_b", patch=32))
    with caplog.at_level(logging.WARNING):
        load_teacher(run.path)
    assert not caplog.records
