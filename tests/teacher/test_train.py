"""What a teacher's run remembers of its config, and what is said without SAM's weights; training itself is stubbed."""

import hashlib
import logging
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from bedside.runtime.task_presets import PRESETS
from bedside.teacher.autosam_config import AutoSamConfig
from bedside.teacher.sam_sizes import SAM_SIZES
from bedside.teacher.train import load_teacher, train_teacher
from bedside.training import train as module
from bedside.training.data.dataset import Dataset
from bedside.training.loop.checkpoint import save_weights
from bedside.training.loop.hardware import Hardware
from bedside.training.prepared_run import PreparedRun
from bedside.training.recipe import Recipe
from bedside.training.runs.run import Run, RunConfig

TASK = PRESETS["btcv"]


@pytest.fixture
def opened(monkeypatch):
    """The configurations that runs were opened with; network and loop are replaced."""
    configurations = []

    @contextmanager
    def prepare_run(job, record, group, *, progress):
        configurations.append((record.model, job.recipe))
        yield PreparedRun(run=None, train=[], validation=[])

    monkeypatch.setattr(module, "prepare_run", prepare_run)
    monkeypatch.setattr(AutoSamConfig, "network", lambda *_: torch.nn.Conv3d(1, 14, 1))
    monkeypatch.setattr(module, "fit", lambda *_, **__: None)
    return configurations


def train(tmp_path, **options):
    made_of = AutoSamConfig(**options)
    dataset = Dataset(name="none", labels=TASK.labels, training=(), validation=(), test=(), root=tmp_path)
    train_teacher(dataset, TASK, tmp_path / "run", config=made_of, recipe=Recipe(), hardware=Hardware("cpu"))


def trained(path, made_of):
    """Writes the run of a teacher, as if it had been trained."""
    task = TASK.replaced(patch=(32, 32, 32))
    config = RunConfig(model=made_of.recorded(), task=task, recipe=Recipe(), dataset="d", data_hash="0")
    run = Run.create(path, config, resume=False)
    run.start()
    save_weights(run.best, made_of.build(14, 32))
    return run.path


def test_a_run_remembers_sams_weights_by_name_and_content(tmp_path, opened):
    (tmp_path / "sam_vit_b.pth").write_bytes(b"weights of SAM")
    train(tmp_path, checkpoint=tmp_path / "sam_vit_b.pth")
    assert opened[0][0].options == {
        "sam": "vit_b", "preset": "paper", "depth_axis": "z", "apg": True, "mlam": True, "checkpoint": "sam_vit_b.pth",
        "checkpoint_sha256": hashlib.sha256(b"weights of SAM").hexdigest(),
    }  # fmt: skip


def test_training_a_public_size_without_sams_weights_is_warned_of(tmp_path, opened, caplog):
    train(tmp_path)
    assert "no SAM checkpoint given: the frozen part of vit_b is random" in caplog.text


def test_our_own_small_size_has_no_weights_to_miss(tmp_path, opened, caplog):
    train(tmp_path, sam="vit_nano")
    assert "SAM checkpoint" not in caplog.text


def test_a_trained_teacher_of_a_public_size_opens_without_a_word(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(SAM_SIZES, "vit_b", replace(SAM_SIZES["vit_nano"], public=True))  # as vit_b, but small
    path = trained(tmp_path / "run", AutoSamConfig(sam="vit_b"))
    with caplog.at_level(logging.WARNING):
        load_teacher(path)
    assert not caplog.records


@pytest.mark.parametrize(("apg", "mlam"), [(False, True), (True, False), (False, False)])
def test_an_ablated_teacher_opens_as_what_it_was_trained_as(tmp_path, apg, mlam):
    path = trained(tmp_path / "run", AutoSamConfig(sam="vit_nano", apg=apg, mlam=mlam))
    written = (path / "config.toml").read_text()
    assert f"apg = {str(apg).lower()}" in written
    assert f"mlam = {str(mlam).lower()}" in written
    model, _ = load_teacher(path)
    assert (model.config.apg, model.config.mlam) == (apg, mlam)


def test_a_run_from_before_there_were_ablations_opens_as_the_whole_teacher(tmp_path):
    path = trained(tmp_path / "run", AutoSamConfig(sam="vit_nano"))
    lines = (path / "config.toml").read_text().splitlines()
    kept = [line for line in lines if not line.startswith(("apg", "mlam", "depth_axis"))]
    assert len(kept) == len(lines) - 3
    (path / "config.toml").write_text("\n".join(kept))
    model, _ = load_teacher(path)
    assert (model.config.apg, model.config.mlam, model.config.depth_axis) == (True, True, "z")
