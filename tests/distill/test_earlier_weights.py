"""A training starts from the weights of an earlier run, or of a bundle that holds them."""

import shutil
from dataclasses import replace

import pytest
from bedside.distill import load_student
from bedside.export import ExportOptions, export_bundle
from bedside.runtime.errors import InputError, UsageError
from bedside.runtime.files.hashing import file_sha256
from bedside.training.runs.run import Run
from safetensors.torch import load_file

from .tiny_runs import taught


@pytest.fixture(scope="module")
def trainable(tmp_path_factory, small_student):
    options = ExportOptions(precisions=("fp32",), onnx_only=True, trainable=True, licence="MIT")
    return export_bundle(load_student(small_student), tmp_path_factory.mktemp("bundles") / "small.bedside", options)


def test_a_run_starts_from_an_earlier_students_weights(tmp_path, dataset, coarse_task, small_student):
    run = taught(tmp_path / "s", dataset, None, lam=1.0, task=coarse_task, init=small_student)
    assert run.config.distillation.init == file_sha256(Run.open(small_student).best)
    before, after = (load_file(Run.open(path).best) for path in (small_student, run.path))
    name = next(key for key in before if key.endswith("weight"))
    assert (before[name] - after[name]).abs().max() < 0.01  # one step from the earlier weights, not new ones


def test_the_licence_of_a_bundle_that_taught_the_earlier_student_stays(tmp_path, dataset, coarse_task, small_student):
    earlier = tmp_path / "earlier"
    shutil.copytree(small_student, earlier)
    config = earlier / Run.CONFIG
    record = 'teachers = [{name = "bundle", sha256 = "0", licence = "MIT"}]'
    config.write_text(config.read_text().replace("teachers = []", record))
    run = taught(tmp_path / "s", dataset, None, task=coarse_task, lam=1.0, init=earlier)
    assert run.config.distillation.teachers_licences == "MIT"
    assert load_student(run.path).licence == "not stated; bundles that taught it state: MIT"


def test_a_run_starts_from_the_weights_in_a_bundle_with_its_task_and_licence(
    tmp_path, dataset, coarse_task, small_student, trainable
):
    zipped = shutil.make_archive(str(tmp_path / "small.bedside"), "zip", trainable)
    run = taught(tmp_path / "s", dataset, None, lam=1.0, init=zipped)  # without a task
    before, after = (load_file(Run.open(path).best) for path in (small_student, run.path))
    name = next(key for key in before if key.endswith("weight"))
    assert (before[name] - after[name]).abs().max() < 0.01
    assert run.config.task == coarse_task
    assert run.config.distillation.init == file_sha256(trainable / "weights.safetensors")
    assert load_student(run.path).licence == "not stated; bundles that taught it state: MIT"


def test_a_run_that_was_stopped_before_it_had_best_weights_is_to_be_trained_on(
    tmp_path, dataset, coarse_task, small_student
):
    stopped = shutil.copytree(small_student, tmp_path / "stopped")
    Run.open(stopped).best.unlink()
    with pytest.raises(InputError, match=r'no checkpoint "best.safetensors" in stopped; train it to the end first'):
        taught(tmp_path / "s", dataset, None, lam=1.0, task=coarse_task, init=stopped)


def test_a_bundle_without_weights_is_refused_with_the_way_to_get_them(tmp_path, dataset, coarse_task, toy):
    bundle = toy.write_bundle(tmp_path / "plain.bedside", coarse_task)
    with pytest.raises(InputError, match=r'"plain.bedside" holds no weights to start from; export it with --trainable'):
        taught(tmp_path / "s", dataset, None, lam=1.0, init=bundle)


def test_weights_of_another_network_or_for_other_classes_are_refused(tmp_path, dataset, coarse_task, trainable):
    with pytest.raises(
        UsageError, match=r"is a bundle of unet-nano; --init needs .* bundle of unet-edge-tiny: .* --student unet-nano$"
    ):
        taught(tmp_path / "s", dataset, None, lam=1.0, student="unet-edge-tiny", init=trainable)
    fewer = coarse_task.replaced(labels=coarse_task.labels[:3])
    with pytest.raises(UsageError, match="has 14 classes, the task 3"):
        taught(tmp_path / "s", dataset, None, lam=1.0, task=fewer, init=trainable)


@pytest.mark.parametrize("last", ["the same", "renamed"])
def test_weights_for_classes_in_another_order_are_refused(tmp_path, dataset, coarse_task, small_student, last):
    background, first, second, *others = coarse_task.labels
    if last == "renamed":
        others[-1] = "tumour"
    swapped = coarse_task.replaced(labels=(background, second, first, *others))
    data = replace(dataset, labels=swapped.labels)
    with pytest.raises(UsageError, match=r"has classes of the task in another order .* give data set and task this"):
        taught(tmp_path / "s", data, None, lam=1.0, task=swapped, init=small_student)


def test_an_earlier_run_that_learned_from_the_validation_scans_is_warned_of(
    tmp_path, dataset, coarse_task, small_student, caplog
):
    seen = replace(dataset, validation=dataset.training)
    taught(tmp_path / "s", seen, None, lam=1.0, task=coarse_task, init=small_student)
    scans = "1 of the 1 validation scans, or copies of them, are among those from which"
    assert f'{scans} the earlier student "{small_student.name}" learned, ' in caplog.text


def test_an_earlier_run_that_saw_another_grid_is_warned_of(tmp_path, dataset, coarse_task, small_student, caplog):
    finer = coarse_task.replaced(spacing=[0.9 * step for step in coarse_task.spacing])
    taught(tmp_path / "s", dataset, None, lam=1.0, task=finer, init=small_student)
    assert f'student "{small_student.name}" learned from scans that were prepared otherwise (spacing)' in caplog.text
    caplog.clear()
    taught(tmp_path / "same", dataset, None, lam=1.0, task=coarse_task, init=small_student)
    assert "prepared otherwise" not in caplog.text
