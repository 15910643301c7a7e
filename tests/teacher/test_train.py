"""What a teacher's run remembers of its config, and what is said without SAM's weights; training itself is stubbed."""

import hashlib
import logging
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from bedside.runtime.errors import UsageError
from bedside.runtime.task_presets import PRESETS
from bedside.teacher import teacher_config
from bedside.teacher.autosam.config import AutoSamConfig
from bedside.teacher.sam.sizes import SAM_SIZES
from bedside.teacher.train import load_teacher, train_teacher
from bedside.training import train as module
from bedside.training.data.dataset import Dataset
from bedside.training.loop.checkpoint import save_weights
from bedside.training.loop.hardware import Hardware
from bedside.training.loop.losses import segmentation_loss
from bedside.training.prepared_run import PreparedRun
from bedside.training.recipe import AUGMENTATION, Recipe
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import RunConfig, decisive_differences
from msgspec.structs import replace as replaced

TASK = PRESETS["btcv"]


@pytest.fixture
def opened(monkeypatch):
    """The configurations that runs were opened with; network and loop are replaced."""
    configurations = []

    @contextmanager
    def prepare_run(job, record, group, *, progress):
        configurations.append((record.model, job.recipe))
        run = SimpleNamespace(config=SimpleNamespace(recipe=job.recipe))
        yield PreparedRun(run=run, train=[], validation=[])

    monkeypatch.setattr(module, "prepare_run", prepare_run)
    monkeypatch.setattr(AutoSamConfig, "network", lambda *_: torch.nn.Conv3d(1, 14, 1))
    monkeypatch.setattr(module, "fit", lambda *_, **__: None)
    return configurations


def train(tmp_path, *, resume=False, recipe=None, **options):
    made_of = AutoSamConfig(**options)
    dataset = Dataset(name="none", labels=TASK.labels, training=(), validation=(), test=(), root=tmp_path)
    hardware = Hardware("cpu")
    out = tmp_path / "run"
    train_teacher(dataset, TASK, out, config=made_of, recipe=recipe or Recipe(), hardware=hardware, resume=resume)


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
        "sam": "vit_b", "preset": "paper", "depth_axis": "z", "apg": True, "mlam": True, "train_encoder": False,
        "checkpoint": "sam_vit_b.pth", "checkpoint_sha256": hashlib.sha256(b"weights of SAM").hexdigest(),
    }  # fmt: skip


def test_without_a_recipe_the_families_own_trains_with_the_tasks_augmentation(tmp_path, opened):
    task = PRESETS["pelvic"].replaced(patch=(32, 32, 32))
    dataset = Dataset(name="none", labels=task.labels, training=(), validation=(), test=(), root=tmp_path)
    config = teacher_config("3d-sautomed", sam="vit_nano")
    train_teacher(dataset, task, tmp_path / "run", config=config, hardware=Hardware("cpu"))
    own = Recipe(lr=1e-4, weight_decay=1e-4, accumulate=8)
    assert opened[0][1] == replaced(own, augmentation=AUGMENTATION["pelvic"])


def test_a_recipe_with_scans_without_labels_is_refused_before_any_case_is_prepared(tmp_path, opened):
    with pytest.raises(UsageError, match=r"learns from labels alone: expected a recipe with unlabelled 0, got 0\.5"):
        train(tmp_path, recipe=Recipe(unlabelled=0.5))
    assert opened == []


def test_training_a_public_size_without_sams_weights_is_warned_of(tmp_path, opened, caplog):
    train(tmp_path)
    warning = "no SAM checkpoint given: the frozen part of vit_b is random; pass one, or train the encoder too"
    assert warning in caplog.text


def test_our_own_small_size_has_no_weights_to_miss(tmp_path, opened, caplog):
    train(tmp_path, sam="vit_nano")
    assert "SAM checkpoint" not in caplog.text


def test_freezing_random_weights_of_our_own_size_is_warned_of(tmp_path, opened, caplog):
    train(tmp_path, sam="vit_nano", train_encoder=False)
    assert "the frozen part of vit_nano is random" in caplog.text


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


def without(path, *options):
    """Takes options off the record of a run, as if it had been written before they existed."""
    lines = (path / "config.toml").read_text().splitlines()
    kept = [line for line in lines if not line.startswith(options)]
    assert len(kept) == len(lines) - len(options)
    (path / "config.toml").write_text("\n".join(kept))


def frozen(model):
    return sum(parameter.numel() for parameter in model.parameters() if not parameter.requires_grad)


def test_a_teacher_opens_with_the_encoder_trained_or_frozen_as_it_was(tmp_path):
    for train_encoder, count in ((None, 0), (True, 0), (False, 943_968 - 2 * 4 * 2 * 96)):
        config = AutoSamConfig(sam="vit_nano", train_encoder=train_encoder)
        model, _ = load_teacher(trained(tmp_path / str(train_encoder), config))
        assert frozen(model) == count


def test_a_run_from_before_encoders_could_train_opens_with_a_frozen_one(tmp_path):
    path = trained(tmp_path / "run", AutoSamConfig(sam="vit_nano", train_encoder=False))
    without(path, "train_encoder")
    model, _ = load_teacher(path)
    assert frozen(model) > 0


def test_a_run_from_before_encoders_could_train_goes_on_with_a_frozen_one(tmp_path, opened):
    path = trained(tmp_path / "run", AutoSamConfig(sam="vit_nano", train_encoder=False))
    without(path, "train_encoder")
    run = Run.open(path)
    train(tmp_path, sam="vit_nano", resume=True)
    train(tmp_path, sam="vit_nano", train_encoder=True, resume=True)
    unstated, contradicting = [replaced(run.config, model=model) for model, _ in opened]
    assert decisive_differences(run.config, unstated) == []
    assert decisive_differences(run.config, contradicting) == ["model.train_encoder"]


def test_a_run_is_not_resumed_with_another_part_trained(tmp_path, opened):
    path = trained(tmp_path / "run", AutoSamConfig(sam="vit_nano", train_encoder=False))
    train(tmp_path, sam="vit_nano", resume=True)
    stored = Run.open(path).config
    assert decisive_differences(stored, replaced(stored, model=opened[0][0])) == ["model.train_encoder"]


def test_a_run_from_before_there_were_ablations_opens_as_the_whole_teacher(tmp_path):
    path = trained(tmp_path / "run", AutoSamConfig(sam="vit_nano"))
    without(path, "apg", "mlam", "depth_axis")
    model, _ = load_teacher(path)
    assert (model.config.apg, model.config.mlam, model.config.depth_axis) == (True, True, "z")


@pytest.mark.parametrize("loss", ["dice-ce", "balanced-dice-ce"])
def test_labels_teach_by_the_recipes_loss(loss, tmp_path, opened, monkeypatch):
    objectives = []
    monkeypatch.setattr(module, "fit", lambda run, setup, *_, **__: objectives.append(setup.objective))
    train(tmp_path, recipe=Recipe(loss=loss), sam="vit_nano")
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 14, 4, 4, 4, generator=generator)
    labels = torch.randint(0, 3, (1, 1, 4, 4, 4), generator=generator)
    expected = segmentation_loss(balanced=loss == "balanced-dice-ce")(logits, labels)
    assert objectives[0](logits, {"label": labels})["labels"].item() == pytest.approx(expected.item())
