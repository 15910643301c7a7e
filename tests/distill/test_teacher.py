"""A bundle teaches as a run does: its engine's logits, on whichever grid, and what it was trained on."""

import shutil

import nibabel as nib
import numpy as np
import pytest
import torch
from bedside.distill import build_student, load_student
from bedside.distill.teacher import EngineNetwork, Teacher
from bedside.distill.teachers import Teachers
from bedside.runtime import Bundle, BundleError, Segmenter, UsageError
from bedside.runtime.bundles.manifest_writer import write_manifest
from bedside.runtime.engines import open_engine
from bedside.runtime.labels.probabilities import softmax
from bedside.training.data.dataset import Case
from bedside.training.data.prepare import prepare_cases
from bedside.training.loop.checkpoint import save_weights
from bedside.training.recipe import Recipe
from bedside.training.runs.learned_from import LearnedFrom
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import Distillation, ModelConfig, RunConfig
from msgspec.structs import replace


@pytest.fixture
def scan(tmp_path):
    """A CT that rises from −900 to 900 HU along a diagonal, at 2 mm."""
    values = (-900 + 30 * np.indices((24, 18, 21)).sum(axis=0)).astype(np.int16)
    nib.save(nib.Nifti1Image(values, np.diag([2.0, 2.0, 2.0, 1.0])), tmp_path / "scan.nii.gz")
    return tmp_path / "scan.nii.gz"


def prepared(scan, task, folder):
    (case,) = prepare_cases([Case("scan", scan, None)], task, folder, needs_labels=False)
    return case


def test_a_bundle_is_a_teacher_with_its_own_name_task_and_hash(bundle_path, task):
    found = Teacher.open(bundle_path)
    with Bundle.open(bundle_path) as bundle:
        assert (found.name, found.task, found.sha256) == ("toy.bedside", task, bundle.sha256)
    assert found.record.name == "toy.bedside"
    assert found.learned_from == LearnedFrom()  # the toy's manifest has no hash of its data


def test_a_bundle_says_by_its_hash_what_it_learnt_from(bundle_path):
    with Bundle.open(bundle_path) as bundle:
        manifest = bundle.manifest
    write_manifest(bundle_path, replace(manifest, provenance=replace(manifest.provenance, data_hash="ab" * 32)))
    assert Teacher.open(bundle_path).learned_from == LearnedFrom(data_hash="ab" * 32)


def test_a_zipped_bundle_teaches_though_its_files_are_gone_when_it_does(tmp_path, toy, task):
    toy.write_bundle(tmp_path / "toy", task)
    zipped = shutil.make_archive(str(tmp_path / "toy.bedside"), "zip", tmp_path / "toy")
    patch = torch.rand(1, 1, *task.patch.dhw)
    logits = Teacher.open(tmp_path / zipped).network(patch)
    assert logits.numpy() == pytest.approx(toy.nearest_mean_logits(patch.numpy()), abs=1e-4)


def test_its_probabilities_are_those_of_its_logits_at_each_voxel(tmp_path, scan, task, bundle_path, toy):
    case = prepared(scan, task, tmp_path / "cases")
    found = Teacher.open(bundle_path).probabilities(case, task, torch.device("cpu"))
    expected = softmax(toy.nearest_mean_logits(np.array(case.image())[None, None])[0])
    assert found == pytest.approx(expected, abs=1e-4)


def test_on_another_grid_it_finds_what_the_bundle_itself_segments(tmp_path, scan, task, bundle_path):
    # The student's grid is the scan's own, where the bundle's label map is: both interpolate the same probabilities.
    own = task.replaced(spacing=(2.0, 2.0, 2.0))
    case = prepared(scan, own, tmp_path / "cases")
    found = Teacher.open(bundle_path).probabilities(case, own, torch.device("cpu"))
    with Segmenter.load(bundle_path, precision="fp32") as segmenter:
        labels = segmenter.segment(scan, overlap=0.5).labels
    inner = (slice(2, -2),) * 3
    agreement = found.argmax(0)[inner] == labels.transpose(2, 1, 0)[inner]
    assert agreement.mean() > 0.98


def test_crops_of_a_batch_are_run_one_by_one_and_in_order(bundle_path, task, toy):
    crops = torch.rand(3, 1, *task.patch.dhw)
    found = Teachers.open([bundle_path]).crop_probabilities(crops)
    expected = np.stack([softmax(logits) for logits in toy.nearest_mean_logits(crops.numpy())])
    assert found.numpy() == pytest.approx(expected, abs=1e-4)


def test_a_network_in_an_engine_has_nothing_to_train_and_refuses_another_patch(task, toy):
    with open_engine("onnxruntime", toy.nearest_mean_model(task.patch.dhw), threads=1) as engine:
        network = EngineNetwork(engine)
        assert list(network.parameters()) == []
        logits = network(torch.rand(1, 1, *task.patch.dhw, requires_grad=True))
        assert not logits.requires_grad
        with pytest.raises(UsageError, match="8×12×16"):
            network(torch.rand(1, 1, 16, 16, 16))


def test_a_bundle_that_fails_its_self_test_does_not_teach(tmp_path, toy, task):
    broken = toy.write_bundle(tmp_path / "broken.bedside", task, golden_shift=3.0)
    with pytest.raises(BundleError, match="self-test"):
        Teacher.open(broken)


def test_the_same_bundle_twice_is_refused(bundle_path):
    with pytest.raises(UsageError, match="is given twice"):
        Teachers.open([bundle_path, bundle_path])


def test_a_student_of_a_bundle_is_not_said_to_have_bedsides_own_licence(tmp_path, task, bundle_path):
    with Bundle.open(bundle_path) as bundle:
        manifest = bundle.manifest
    write_manifest(bundle_path, replace(manifest, licence="CC-BY-SA-4.0"))
    first = student_of(Teacher.open(bundle_path), tmp_path / "first", task)
    assert load_student(first).licence == "not stated; bundles that taught it state: CC-BY-SA-4.0"
    second = student_of(Teacher.open(first), tmp_path / "second", task)  # which saw no bundle itself
    assert load_student(second).licence == "not stated; bundles that taught it state: CC-BY-SA-4.0"
    own = student_of(Teacher(torch.nn.Identity(), task, "own", "0" * 64), tmp_path / "own", task)
    assert load_student(own).licence == "Apache-2.0"


def test_an_unfinished_run_teaches_and_is_said_to_be_unfinished(tmp_path, task, bundle_path, caplog):
    run = Run.open(student_of(Teacher.open(bundle_path), tmp_path / "cut", task))
    for epoch in range(run.config.recipe.epochs - 1):
        run.log(epoch, {"loss": 1.0})
    Teacher.open(run.path)
    assert f'teacher "cut" has done 199 of its {run.config.recipe.epochs} epochs' in caplog.text
    caplog.clear()
    run.log(199, {"loss": 1.0})
    Teacher.open(run.path)
    assert not caplog.messages


def student_of(teacher, folder, task):
    """Writes the run of an untrained student that a teacher taught; returns its directory."""
    config = RunConfig(
        model=ModelConfig(kind="student", name="unet-nano"),
        task=task,
        recipe=Recipe(),
        dataset="toy",
        data_hash="0" * 64,
        distillation=Distillation(lam=0.5, teachers=(teacher.record,)),
    )
    run = Run.create(folder, config, resume=False)
    run.start()
    save_weights(run.best, build_student("unet-nano", num_classes=3))
    return folder
