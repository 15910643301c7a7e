"""A teacher and a student, trained for two steps on phantoms: that they learn is shown by the demo, not here."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from bedside.distill import distill, load_student
from bedside.distill.teachers import Teachers
from bedside.runtime.bundles.bundle import Bundle
from bedside.runtime.bundles.manifest_writer import write_manifest
from bedside.runtime.errors import UsageError
from bedside.runtime.files.hashing import file_sha256
from bedside.teacher.autosam.config import AutoSamConfig
from bedside.teacher.train import load_teacher
from bedside.training.loop.checkpoint import save_weights
from bedside.training.loop.hardware import Hardware
from bedside.training.recipe import Recipe
from bedside.training.runs.best_weights import BestWeights
from bedside.training.runs.learned_from import LearnedFrom
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import RunConfig

from .tiny_runs import RECIPE, taught


def test_a_trained_teacher_opens_from_its_run(teacher_run, coarse_task):
    model, run = load_teacher(teacher_run)
    options = {
        "sam": "vit_nano",
        "preset": "paper",
        "depth_axis": "z",
        "apg": True,
        "mlam": True,
        "train_encoder": True,
    }
    assert run.config.model.options == options
    assert not model.training
    with torch.inference_mode():
        assert model(torch.zeros(1, 1, *coarse_task.patch.dhw)).shape == (1, 14, 32, 64, 64)


def test_a_student_learns_from_the_teachers_run_and_opens_from_its_own(
    tmp_path, teacher_run, dataset, coarse_task, caplog
):
    distill(
        dataset,
        tmp_path / "student",
        student="unet-nano",
        lam=0.5,
        teacher=teacher_run,
        task=None,
        recipe=RECIPE,
        hardware=Hardware("cpu"),
    )
    loaded = load_student(tmp_path / "student")
    assert loaded.task == coarse_task
    assert (loaded.student, loaded.lam, loaded.teacher) == ("unet-nano", 0.5, "teacher")
    taught_by = LearnedFrom.of_run(Run.open(teacher_run))
    assert loaded.learned_from == taught_by  # of the same cases, both of which are known
    assert taught_by.knows_all
    assert taught_by.scans == {file_sha256(case.image) for case in dataset.training}
    assert float(loaded.metrics["loss"]) > 0
    assert len(list((tmp_path / "bedside-cases").glob("*/teacher-*/blocks.npy"))) == len(dataset.training)
    assert {"gradient_labels", "gradient_teacher"} <= loaded.metrics.keys()
    assert "taught the teacher" not in caplog.text  # nothing is validated on


def test_a_student_learns_from_an_ablated_teacher(tmp_path, dataset, coarse_task):
    config = AutoSamConfig(sam="vit_nano", apg=False, mlam=False)
    run = Run.create(
        tmp_path / "neither",
        RunConfig(model=config.recorded(), task=coarse_task, recipe=RECIPE, dataset="d", data_hash="0"),
        resume=False,
    )
    run.start()
    save_weights(run.best, config.build(coarse_task.num_classes, coarse_task.patch.dhw))
    one_case = replace(dataset, training=dataset.training[:1])
    distill(
        one_case,
        tmp_path / "student",
        student="unet-nano",
        lam=0.5,
        teacher=run.path,
        task=None,
        recipe=Recipe(epochs=1, steps_per_epoch=1, warmup=0),
        hardware=Hardware("cpu"),
    )
    assert load_student(tmp_path / "student").teacher == "neither"


def write_teacher(toy, path, task):
    """Writes a bundle whose network tells the classes by intensity."""
    means = tuple(index / (task.num_classes - 1) for index in range(task.num_classes))
    return toy.write_bundle(path, task, means=means)


def test_a_student_learns_from_a_bundle_and_its_run_and_log_say_so(tmp_path, toy, dataset, coarse_task, caplog):
    fine = coarse_task.replaced(spacing=(6.0, 6.0, 6.0))  # its probabilities are interpolated
    bundle = write_teacher(toy, tmp_path / "nearest.bedside", fine)
    distill(
        replace(dataset, validation=dataset.training),
        tmp_path / "student",
        student="unet-nano",
        lam=0.5,
        teacher=bundle,
        task=coarse_task,
        recipe=RECIPE,
        hardware=Hardware("cpu"),
    )
    assert load_student(tmp_path / "student").teacher == "nearest.bedside"
    assert 'not every scan is recorded from which teacher "nearest.bedside", or what taught it, learned' in caplog.text
    assert not LearnedFrom.of(tmp_path / "student").knows_all
    with pytest.raises(UsageError, match="--teacher-targets online needs both to be equal"):
        taught(tmp_path / "online", dataset, bundle, task=coarse_task, targets="online")


def test_a_bundle_hands_the_scans_that_it_learned_from_on_to_its_students(tmp_path, toy, dataset, coarse_task, caplog):
    bundle = write_teacher(toy, tmp_path / "known.bedside", coarse_task)
    with Bundle.open(bundle) as opened:
        manifest = opened.manifest
    LearnedFrom(scans=frozenset({"ab" * 32}), knows_all=True).save(bundle)
    write_manifest(bundle, manifest)
    taught(tmp_path / "student", replace(dataset, validation=dataset.training), bundle, task=coarse_task)
    found = LearnedFrom.of(tmp_path / "student")
    assert found.knows_all
    assert "ab" * 32 in found.scans
    assert "not every scan is recorded" not in caplog.text


def test_the_baseline_needs_no_teacher(small_student):
    loaded = load_student(small_student)
    assert (loaded.lam, loaded.teacher) == (1.0, None)
    assert not list((small_student.parent / "bedside-cases").glob("*/teacher-*"))
    assert "gradient_labels" not in loaded.metrics  # its loss has one term


def test_a_teacher_whose_own_training_had_a_higher_dice_than_the_mean_of_all_is_named(
    tmp_path, teacher_run, with_unlabelled, coarse_task, caplog
):
    alone = taught(tmp_path / "alone", with_unlabelled, None, lam=1.0, task=coarse_task)
    shown = BestWeights(epoch=0, dice=0.9)
    save_weights(alone.best, load_student(alone.path).model, about=shown)
    taught(tmp_path / "s", with_unlabelled, [teacher_run, alone.path])
    assert 'is worse than teacher "alone" alone, which in its own training had 0.900' in caplog.text


@pytest.mark.parametrize("targets", ["cached", "online"])
def test_several_teachers_of_any_kind_teach_on_scans_without_labels_too(
    tmp_path, teacher_run, small_student, with_unlabelled, targets
):
    teachers = [teacher_run, small_student]
    run = taught(tmp_path / "s", with_unlabelled, teachers, unlabelled=0.5, targets=targets)
    recorded = run.config.distillation
    assert [(record.name, record.sha256) for record in recorded.teachers] == [
        (path.name, file_sha256(Run.open(path).best)) for path in teachers
    ]
    assert recorded.targets == targets
    assert load_student(run.path).teacher == "teacher, small"
    assert run.config.unlabelled_hash
    assert float(run.rows()[-1]["gradient_teacher"]) > 0
    cached = list((tmp_path / "bedside-cases").glob("*/teacher-*/blocks.npy"))
    assert len(cached) == 2  # online, only for the case without labels and for the validation


@pytest.mark.parametrize(("lam", "targets"), [(1.0, "cached"), (0.5, "cached"), (0.5, "online")])
def test_the_teachers_classes_stand_in_for_labels_of_scans_without(
    tmp_path, small_student, with_unlabelled, lam, targets
):
    run = taught(
        tmp_path / "s", with_unlabelled, small_student, unlabelled=0.5, lam=lam, targets=targets, pseudo_labels=True
    )
    recorded = run.config.distillation
    assert (recorded.pseudo_labels, recorded.lam, recorded.teacher_names) == (True, lam, small_student.name)
    assert bool(run.rows()[-1].get("gradient_teacher")) == (lam < 1)


def test_a_second_student_finds_the_targets_of_the_first(tmp_path, small_student, with_unlabelled, monkeypatch):
    taught(tmp_path / "a", with_unlabelled, small_student, unlabelled=0.5)
    monkeypatch.setattr("bedside.distill.teacher.predict_probabilities", None)
    taught(tmp_path / "b", with_unlabelled, small_student, unlabelled=0.5, lam=0.2)


def test_with_lambda_one_no_teacher_is_opened(tmp_path, dataset, coarse_task, small_student, monkeypatch):
    monkeypatch.setattr(Teachers, "open", lambda paths: pytest.fail("a teacher was opened"))
    run = taught(tmp_path / "s", dataset, small_student, task=coarse_task, lam=1.0)
    assert run.config.distillation.teachers == ()


def test_with_cached_targets_the_patch_may_differ_from_the_teachers(tmp_path, dataset, coarse_task, small_student):
    smaller = coarse_task.replaced(patch=(64, 32, 32))
    run = taught(tmp_path / "s", dataset, small_student, task=smaller)
    assert run.config.task.patch == (64, 32, 32)
    with pytest.raises(UsageError, match="--teacher-targets online needs both to be equal"):
        taught(tmp_path / "t", dataset, small_student, task=smaller, targets="online")


def test_a_run_that_names_its_only_teacher_as_earlier_versions_did_still_opens(
    tmp_path, dataset, coarse_task, small_student
):
    run = taught(tmp_path / "s", dataset, small_student)
    record = run.config.distillation.teachers[0]
    file = run.path / Run.CONFIG
    text = file.read_text()
    start = text.index("[distillation]")
    end = text.find("\n[", start + 1)
    teacher = f'teacher = "{record.name}"\nteacher_hash = "{record.sha256}"'
    earlier = f"[distillation]\nlam = 0.5\n{teacher}\ntemperature = 1.0\n"
    block = text[start : text.index("[recipe", start)] if "[recipe" in text[start:] else text[start:end]
    file.write_text(text.replace(block, earlier))
    assert Run.open(run.path).config.distillation == run.config.distillation


@pytest.mark.parametrize(("lam", "said"), [(1.0, True), (0.5, False)])
def test_it_is_said_that_a_teacher_takes_no_part_at_lambda_1(
    tmp_path, small_student, dataset, coarse_task, caplog, lam, said
):
    with caplog.at_level("INFO"):
        run = taught(tmp_path / "s", dataset, small_student, lam=lam, task=coarse_task)
    assert ("lambda 1 learns from labels alone: the teachers take no part" in caplog.text) is said
    assert bool(run.config.distillation.teachers) is not said


def test_every_process_opens_the_student_and_only_the_first_says_what_takes_no_part(
    tmp_path, small_student, dataset, coarse_task, caplog, monkeypatch
):
    class OpenedEverywhere(Exception):  # noqa: N818 - no error
        pass

    def train(job, open_method, hooks):
        opened = [open_method() for _ in range(2)]
        prepared = SimpleNamespace(train=[], validation=[], unlabelled=[])
        for method, first in zip(opened, (True, False), strict=True):
            method.sources(prepared, SimpleNamespace(first=first), None)
        raise OpenedEverywhere

    monkeypatch.setattr("bedside.distill.train.train", train)
    with caplog.at_level("INFO"), pytest.raises(OpenedEverywhere):
        taught(tmp_path / "s", dataset, small_student, lam=1.0, task=coarse_task)
    assert caplog.text.count("the teachers take no part") == 1
