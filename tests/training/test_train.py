"""The course that every training shares: seeding, the network, the prepared run, the loss, the steps."""

import weakref
from dataclasses import replace

import msgspec
import pytest
import torch
from bedside.training.data.crops import CropSource
from bedside.training.job import TrainingHooks, TrainingJob
from bedside.training.loop.hardware import Hardware
from bedside.training.loop.losses import segmentation_loss
from bedside.training.loop.process_group import ProcessGroup
from bedside.training.prepared_run import MethodRecord
from bedside.training.recipe import Recipe
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import Distillation, ModelConfig
from bedside.training.train import train
from safetensors.torch import load_file

RECORD = MethodRecord(ModelConfig(kind="student", name="conv"), Distillation(lam=0.5))


class Method:
    """Trains one convolution from the labels, and lists what it is asked for."""

    def __init__(self, calls):
        self.calls = calls

    def build(self, task):
        self.calls.append("build")
        return torch.nn.Conv3d(1, task.num_classes, 1)

    def recorded(self):
        self.calls.append("recorded")
        return RECORD

    def objective(self, prepared, group):
        self.calls.append(f"objective, ignores={prepared.has_ignored_voxels}")
        loss = segmentation_loss(ignores=prepared.has_ignored_voxels)
        return lambda logits, batch: {"labels": loss(logits, batch["label"])}

    def sources(self, prepared, group, progress):
        self.calls.append("sources")
        return [CropSource(case) for case in prepared.train]


@pytest.fixture
def job(small_dataset, small_task, tmp_path):
    recipe = Recipe(epochs=1, steps_per_epoch=1, warmup=0, seed=5)
    return TrainingJob(
        dataset=small_dataset, task=small_task, out=tmp_path / "run", recipe=recipe, hardware=Hardware("cpu")
    )


def test_a_method_is_asked_in_order_and_released_before_the_first_step(job):
    calls, opened, alive = [], [], []

    def open_method():
        method = Method(calls)
        opened.append(weakref.ref(method))
        return method

    train(job, open_method, TrainingHooks(progress=lambda *_: alive.append(opened[0]() is not None)))
    assert calls == ["build", "recorded", "objective, ignores=False", "sources"]
    assert alive
    assert not any(alive)


def test_the_run_holds_what_the_method_records(job):
    train(job, lambda: Method([]), TrainingHooks())
    config = Run.open(job.out).config
    assert (config.model, config.distillation) == (RECORD.model, RECORD.distillation)


@pytest.mark.parametrize("first", [True, False])
def test_only_the_first_process_is_told_of_the_end(job, monkeypatch, first):
    class Group(ProcessGroup):
        def __init__(self, fabric):
            super().__init__(fabric)
            self.first = first

    monkeypatch.setattr("bedside.training.train.ProcessGroup", Group)
    told = []
    result = train(job, lambda: Method([]), TrainingHooks(finished=lambda run, found: told.append((run.path, found))))
    assert told == ([(job.out, result)] if first else [])


@pytest.mark.parametrize(("share", "warned"), [(0.5, True), (0.0, False)])
def test_epochs_of_auxiliary_outputs_are_warned_of_where_the_network_has_none(job, caplog, share, warned):
    recipe = msgspec.structs.replace(job.recipe, auxiliary_alone=share)
    train(replace(job, recipe=recipe), lambda: Method([]), TrainingHooks())
    assert ("the network has no auxiliary outputs" in caplog.text) is warned


def test_weights_depend_on_the_seed_and_not_on_random_numbers_drawn_while_the_method_opens(job, tmp_path):
    def drawing():
        torch.rand(7)
        return Method([])

    train(job, lambda: Method([]), TrainingHooks())
    first = load_file(Run.open(job.out).best)
    again = TrainingJob(
        dataset=job.dataset, task=job.task, out=tmp_path / "again", recipe=job.recipe, hardware=job.hardware
    )
    train(again, drawing, TrainingHooks())
    assert torch.equal(load_file(tmp_path / "again" / "best.safetensors")["model.weight"], first["model.weight"])


class Watching(Method):
    """Trains a convolution that notes whether it runs in bfloat16."""

    def __init__(self, seen):
        super().__init__([])
        self.seen = seen

    def build(self, task):
        network = super().build(task)
        network.register_forward_hook(lambda *_: self.seen.append(torch.is_autocast_enabled("cpu")))
        return network


def undecided(job, epochs=1, **changes):
    return replace(job, recipe=msgspec.structs.replace(job.recipe, precision="auto", epochs=epochs), **changes)


@pytest.mark.parametrize(("chosen", "mixed"), [("bf16-mixed", True), ("32-true", False)])
def test_a_training_runs_in_the_precision_it_chose_and_records_it(job, monkeypatch, chosen, mixed):
    seen = []
    monkeypatch.setattr("bedside.training.train.choose_precision", lambda *_: chosen)
    monkeypatch.setattr("bedside.training.loop.step.check_precision", lambda *_: None)
    train(undecided(job), lambda: Watching(seen), TrainingHooks())
    assert set(seen) == {mixed}
    assert Run.open(job.out).config.recipe.precision == chosen


def test_a_resumed_training_keeps_the_recorded_precision_and_tries_nothing(job, monkeypatch):
    seen = []
    monkeypatch.setattr("bedside.training.loop.step.check_precision", lambda *_: None)
    monkeypatch.setattr("bedside.training.train.choose_precision", lambda *_: "bf16-mixed")
    train(undecided(job), lambda: Method([]), TrainingHooks())
    monkeypatch.setattr("bedside.training.train.choose_precision", lambda *_: pytest.fail("tried"))
    train(undecided(job, epochs=2, resume=True), lambda: Watching(seen), TrainingHooks())
    assert set(seen) == {True}
    assert Run.open(job.out).config.recipe.precision == "bf16-mixed"


def test_a_training_that_chose_32_bit_gives_the_weights_of_one_that_was_told_so(job, monkeypatch, tmp_path):
    train(job, lambda: Method([]), TrainingHooks())
    monkeypatch.setattr("bedside.training.loop.precision_choice.LEAST_GAIN", float("inf"))
    train(undecided(job, out=tmp_path / "auto"), lambda: Method([]), TrainingHooks())
    told, chose = (load_file(folder / "best.safetensors") for folder in (job.out, tmp_path / "auto"))
    assert all(torch.equal(chose[name], told[name]) for name in told if name.startswith("model."))
