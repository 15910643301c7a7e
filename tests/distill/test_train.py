"""A teacher and a student, trained for two steps on phantoms: that they learn is shown by the demo, not here."""

import shutil
from dataclasses import replace

import pytest
import torch
from bedside.distill import distill, load_student
from bedside.distill.teachers import Teachers
from bedside.runtime.errors import InputError, UsageError
from bedside.runtime.files.hashing import file_sha256
from bedside.runtime.task_presets import PRESETS
from bedside.teacher.autosam.config import AutoSamConfig
from bedside.teacher.train import load_teacher, train_teacher
from bedside.training.data.dataset import Case, load_dataset
from bedside.training.loop.checkpoint import save_weights
from bedside.training.loop.hardware import Hardware
from bedside.training.phantoms.phantom import write_phantoms
from bedside.training.recipe import Recipe
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import RunConfig
from safetensors.torch import load_file

RECIPE = Recipe(epochs=1, steps_per_epoch=2, batch=2, warmup=0)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    written = load_dataset(write_phantoms(tmp_path_factory.mktemp("phantoms") / "data", 2, seed=1))
    return replace(written, validation=())  # validation is tested with the loop itself


@pytest.fixture(scope="module")
def task():
    return PRESETS["btcv"].replaced(spacing=(8.0, 8.0, 8.0), patch=(64, 64, 32))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, dataset, task):
    out = tmp_path_factory.mktemp("runs") / "teacher"
    train_teacher(dataset, task, out, config=AutoSamConfig(sam="vit_nano"), recipe=RECIPE, hardware=Hardware("cpu"))
    return out


def test_a_trained_teacher_opens_from_its_run(teacher, task):
    model, run = load_teacher(teacher)
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
        assert model(torch.zeros(1, 1, *task.patch.dhw)).shape == (1, 14, 32, 64, 64)


def test_a_student_learns_from_the_teachers_run_and_opens_from_its_own(tmp_path, teacher, dataset, task, caplog):
    distill(
        dataset,
        tmp_path / "student",
        student="unet-nano",
        lam=0.5,
        teacher=teacher,
        task=None,
        recipe=RECIPE,
        hardware=Hardware("cpu"),
    )
    loaded = load_student(tmp_path / "student")
    assert loaded.task == task
    assert (loaded.student, loaded.lam, loaded.teacher) == ("unet-nano", 0.5, "teacher")
    assert loaded.data_hash == Run.open(teacher).config.data_hash
    assert float(loaded.metrics["loss"]) > 0
    assert len(list((tmp_path / "bedside-cases").glob("*/teacher-*/blocks.npy"))) == len(dataset.training)
    assert {"gradient_labels", "gradient_teacher"} <= loaded.metrics.keys()
    assert "taught the teacher" not in caplog.text  # nothing is validated on


def test_a_student_learns_from_an_ablated_teacher(tmp_path, dataset, task):
    config = AutoSamConfig(sam="vit_nano", apg=False, mlam=False)
    run = Run.create(
        tmp_path / "neither",
        RunConfig(model=config.recorded(), task=task, recipe=RECIPE, dataset="d", data_hash="0"),
        resume=False,
    )
    run.start()
    save_weights(run.best, config.build(task.num_classes, task.patch.dhw))
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


def test_a_student_learns_from_a_bundle_and_its_run_and_log_say_so(tmp_path, toy, dataset, task, caplog):
    means = tuple(index / (task.num_classes - 1) for index in range(task.num_classes))
    fine = task.replaced(spacing=(6.0, 6.0, 6.0))  # its probabilities are interpolated
    bundle = toy.write_bundle(tmp_path / "nearest.bedside", fine, means=means)
    distill(
        dataset,
        tmp_path / "student",
        student="unet-nano",
        lam=0.5,
        teacher=bundle,
        task=task,
        recipe=RECIPE,
        hardware=Hardware("cpu"),
    )
    assert load_student(tmp_path / "student").teacher == "nearest.bedside"
    assert 'teacher "nearest.bedside" does not say what it was trained on' in caplog.text
    with pytest.raises(UsageError, match="--teacher-targets online needs both to be equal"):
        distill(dataset, tmp_path / "online", student="unet-nano", lam=0.5, teacher=bundle, task=task, targets="online")


def test_the_baseline_needs_no_teacher(tmp_path, dataset, task):
    distill(
        dataset,
        tmp_path / "baseline",
        student="unet-nano",
        lam=1.0,
        teacher=None,
        task=task,
        recipe=RECIPE,
        hardware=Hardware("cpu"),
    )
    loaded = load_student(tmp_path / "baseline")
    assert (loaded.lam, loaded.teacher) == (1.0, None)
    assert not list((tmp_path / "bedside-cases").glob("*/teacher-*"))
    assert "gradient_labels" not in loaded.metrics  # its loss has one term


def test_a_student_without_teacher_must_have_lambda_one(tmp_path, dataset, task):
    with pytest.raises(UsageError, match=r"lambda 0\.5 needs a teacher: give --teacher, or --lambda 1"):
        distill(dataset, tmp_path / "s", student="unet-nano", lam=0.5, teacher=None, task=task, recipe=RECIPE)


def test_online_a_grid_other_than_the_teachers_is_refused_naming_the_field(tmp_path, teacher, dataset, task):
    with pytest.raises(UsageError, match='differs from that of teacher "teacher" in: spacing'):
        distill(
            dataset,
            tmp_path / "s",
            student="unet-nano",
            lam=0.5,
            teacher=teacher,
            task=task.replaced(spacing=(5.0, 5.0, 5.0)),
            recipe=RECIPE,
            targets="online",
        )


def test_a_student_run_is_no_teacher_and_the_other_way_round(teacher):
    with pytest.raises(InputError, match="is a teacher run; expected a student"):
        load_student(teacher)


def test_a_teacher_that_has_seen_the_students_validation_cases_is_told(tmp_path, teacher, dataset, task, caplog):
    distill(
        replace(dataset, validation=dataset.training),
        tmp_path / "student",
        student="unet-nano",
        lam=0.5,
        teacher=teacher,
        task=None,
        recipe=Recipe(epochs=1, steps_per_epoch=1, warmup=0),
        hardware=Hardware("cpu"),
    )
    assert "it may have learnt from the student's validation cases" in caplog.text


@pytest.fixture(scope="module")
def small_student(tmp_path_factory, dataset, task):
    """A run of a student without a teacher."""
    out = tmp_path_factory.mktemp("runs") / "small"
    distill(
        dataset,
        out,
        student="unet-nano",
        lam=1.0,
        teacher=None,
        task=task,
        recipe=RECIPE,
        hardware=Hardware("cpu"),
    )
    return out


def taught(out, dataset, teachers, **changes):
    """Distils a student for one step and returns its run."""
    recipe = Recipe(epochs=1, steps_per_epoch=1, batch=2, warmup=0, unlabelled=changes.pop("unlabelled", 0.0))
    given = {"student": "unet-nano", "lam": 0.5, "teacher": teachers, "task": None, **changes}
    distill(dataset, out, recipe=recipe, hardware=Hardware("cpu"), **given)
    return Run.open(out)


@pytest.fixture(scope="module")
def with_unlabelled(dataset):
    """The same scan with labels, without, and to validate on."""
    case = replace(dataset.training[0], label=None)
    return replace(dataset, unlabelled=(case,), validation=dataset.training)


@pytest.mark.parametrize("targets", ["cached", "online"])
def test_several_teachers_of_any_kind_teach_on_scans_without_labels_too(
    tmp_path, teacher, small_student, with_unlabelled, targets
):
    teachers = [teacher, small_student]
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


def test_a_run_starts_from_an_earlier_students_weights(tmp_path, dataset, task, small_student):
    run = taught(tmp_path / "s", dataset, None, lam=1.0, task=task, init=small_student)
    assert run.config.distillation.init == file_sha256(Run.open(small_student).best)
    before, after = (load_file(Run.open(path).best) for path in (small_student, run.path))
    name = next(key for key in before if key.endswith("weight"))
    assert (before[name] - after[name]).abs().max() < 0.01  # one step from the earlier weights, not new ones


def test_the_licence_of_a_bundle_that_taught_the_earlier_student_stays(tmp_path, dataset, task, small_student):
    earlier = tmp_path / "earlier"
    shutil.copytree(small_student, earlier)
    config = earlier / Run.CONFIG
    record = 'teachers = [{name = "bundle", sha256 = "0", licence = "MIT"}]'
    config.write_text(config.read_text().replace("teachers = []", record))
    run = taught(tmp_path / "s", dataset, None, task=task, lam=1.0, init=earlier)
    assert run.config.distillation.teachers_licences == "MIT"
    assert load_student(run.path).licence == "not stated; bundles that taught it state: MIT"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unlabelled": 0.5}, "lists no scans without labels"),
        ({"unlabelled": 0.5, "lam": 1.0}, "lambda 1 learns nothing from scans without labels"),
        ({"pseudo_labels": True}, "pseudo-labels are for scans without labels, and none are used"),
        ({"teacher": None, "lam": 1.0, "unlabelled": 0.5}, "scans without labels need a teacher"),
        ({"imitation": "l1"}, 'no imitation loss "l1"; expected one of: mse, dice-ce'),
        ({"targets": "later"}, 'targets: expected cached, online, got "later"'),
        (
            {"student": "swinunetr-tiny", "init": True},
            "is a run of unet-nano; --init needs an earlier run of swinunetr",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(tmp_path, dataset, task, small_student, changes, message):
    given = {"teacher": small_student, "task": task, **changes}
    if given.get("init"):
        given["init"] = small_student
    with pytest.raises(UsageError, match=message):
        taught(tmp_path / "s", replace(dataset, unlabelled=()), given.pop("teacher"), **given)


def test_a_run_that_is_there_is_refused_before_a_teacher_is_opened(tmp_path, dataset, task, small_student, monkeypatch):
    monkeypatch.setattr(Teachers, "open", lambda paths: pytest.fail("a teacher was opened"))
    with pytest.raises(UsageError, match="holds a run already"):
        taught(small_student, dataset, small_student, task=task)


def test_with_lambda_one_no_teacher_is_opened(tmp_path, dataset, task, small_student, monkeypatch):
    monkeypatch.setattr(Teachers, "open", lambda paths: pytest.fail("a teacher was opened"))
    run = taught(tmp_path / "s", dataset, small_student, task=task, lam=1.0)
    assert run.config.distillation.teachers == ()


def test_unusual_scans_among_those_without_labels_are_told(tmp_path, with_unlabelled, small_student, task, caplog):
    label_map = Case("labels", with_unlabelled.training[0].label)
    others = (*with_unlabelled.unlabelled, label_map)
    taught(tmp_path / "s", replace(with_unlabelled, unlabelled=others), small_student, task=task, unlabelled=0.5)
    assert f"1 of {len(others)} scans without labels are unusual, such as: " in caplog.text


def test_with_cached_targets_the_patch_may_differ_from_the_teachers(tmp_path, dataset, task, small_student):
    smaller = task.replaced(patch=(64, 32, 32))
    run = taught(tmp_path / "s", dataset, small_student, task=smaller)
    assert run.config.task.patch == (64, 32, 32)
    with pytest.raises(UsageError, match="--teacher-targets online needs both to be equal"):
        taught(tmp_path / "t", dataset, small_student, task=smaller, targets="online")


def test_a_run_that_names_its_only_teacher_as_earlier_versions_did_still_opens(tmp_path, dataset, task, small_student):
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
