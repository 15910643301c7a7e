"""What a student's run says of its weights when it is opened, for export."""

import shutil

import pytest
from bedside.distill import build_student, load_student
from bedside.training.loop.checkpoint import save_weights
from bedside.training.recipe import Recipe
from bedside.training.runs.best_weights import BestWeights, ClassOffsetsRecord
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import Distillation, ModelConfig, RunConfig
from msgspec.structs import replace

NO_OFFSETS = ClassOffsetsRecord()


@pytest.fixture
def run(tmp_path, task):
    """Returns a run of two epochs whose first has the higher Dice."""
    model = ModelConfig(kind="student", name="unet-edge-tiny")
    config = RunConfig(model=model, task=task, recipe=Recipe(epochs=2, warmup=0), dataset="toy", data_hash="cd" * 32)
    run = Run.create(tmp_path / "run", config, resume=False)
    run.start()
    for epoch, dice in enumerate((0.5, 0.25)):
        run.log(epoch, {"dice": dice})
    keep(run)
    return run


def keep(run, offsets=NO_OFFSETS):
    """Stores a student's weights as a run's best, those of its first epoch."""
    model = build_student("unet-edge-tiny", num_classes=run.config.task.num_classes)
    save_weights(run.best, model, about=BestWeights(0, 0.5, offsets))


def test_the_metrics_are_those_of_the_epoch_of_the_weights(run):
    assert load_student(run.path).metrics == {"epoch": "0", "dice": "0.5"}


def test_weights_with_class_offsets_have_another_dice_than_their_epoch(run):
    keep(run, ClassOffsetsRecord(2, 0.625))
    assert load_student(run.path).metrics == {"epoch": "0", "dice": "0.5", "dice_with_class_offsets": "0.625"}


def test_earlier_weights_and_scans_without_labels_are_named_before_the_metrics(run, tmp_path):
    recipe = replace(run.config.recipe, unlabelled=0.4)
    how = Distillation(lam=1.0, init="ab" * 32, pseudo_labels=True)
    taught = Run.create(tmp_path / "taught", replace(run.config, recipe=recipe, distillation=how), resume=False)
    taught.start()
    taught.log(0, {"dice": 0.5})
    shutil.copy(run.best, taught.best)
    assert load_student(taught.path).metrics == {
        "started_from": f"earlier weights, SHA-256 {'ab' * 32}",
        "without_labels": "40 % of the crops, with pseudo-labels",
        "epoch": "0",
        "dice": "0.5",
    }
