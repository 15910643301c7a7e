"""What every training starts with: above all, where prepared cases lie and who shares them."""

from dataclasses import replace

import numpy as np
import pytest
from bedside.runtime.errors import InputError, ResourceError, UsageError
from bedside.runtime.files.hashing import file_sha256
from bedside.runtime.scans.nifti import read_labels, write_volume
from bedside.training.data.dataset import Case
from bedside.training.job import TrainingJob
from bedside.training.loop.hardware import make_fabric
from bedside.training.loop.process_group import ProcessGroup
from bedside.training.prepared_run import MethodRecord, prepare_run
from bedside.training.recipe import Augmentation, Recipe
from bedside.training.runs.learned_from import LearnedFrom
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import ModelConfig

RECIPE = Recipe(epochs=1, warmup=0)
RECORD = MethodRecord(ModelConfig(kind="teacher", name="x"))
GROUP = ProcessGroup(make_fabric("cpu", "32-true"))


def start(dataset, task, out, *, progress=None, record=RECORD, **options):
    job = TrainingJob(dataset=dataset, task=task, out=out, **{"recipe": RECIPE, **options})
    with prepare_run(job, record, GROUP, progress=progress) as prepared:
        return prepared


def test_runs_side_by_side_share_prepared_cases(small_dataset, small_task, tmp_path):
    teacher = start(small_dataset, small_task, tmp_path / "runs" / "teacher")
    written = {file: file.stat().st_mtime_ns for case in teacher.train for file in case.folder.iterdir()}
    student = start(small_dataset, small_task.replaced(patch=(32, 32, 32)), tmp_path / "runs" / "student")
    assert [case.folder for case in student.train] == [case.folder for case in teacher.train]
    assert {file: file.stat().st_mtime_ns for file in written} == written
    assert teacher.train[0].folder.parent == tmp_path / "runs" / "bedside-cases"


@pytest.mark.parametrize(("first", "second"), [(128, 64), (64, 128)])
def test_runs_that_share_cases_warn_each_by_its_own_patch(small_dataset, small_task, tmp_path, caplog, first, second):
    """The scans are 144 mm long, the patches of 64 and 128 voxels 256 and 512 mm."""
    for patch in (first, second):
        caplog.clear()
        start(small_dataset, small_task.replaced(patch=(64, 64, patch)), tmp_path / f"run{patch}")
        thin = "3 of 3 scans are unusual, such as: the field of view is much smaller than what the network sees at once"
        assert (f"{thin} (z 144 mm of the patch's 512 mm)" in caplog.text) is (patch == 128)


def test_the_folder_of_prepared_cases_can_be_chosen(small_dataset, small_task, tmp_path):
    prepared = start(small_dataset, small_task, tmp_path / "run", prepared_cases=tmp_path / "fast-disk")
    assert {case.folder.parent for case in (*prepared.train, *prepared.validation)} == {tmp_path / "fast-disk"}
    assert not (tmp_path / "bedside-cases").exists()
    assert [case.name for case in prepared.train] == ["case0", "case1"]


def test_a_run_that_is_there_is_refused_before_anything_is_prepared(small_dataset, small_task, tmp_path):
    start(small_dataset, small_task, tmp_path / "run", prepared_cases=tmp_path / "first")
    with pytest.raises(UsageError, match="holds a run already"):
        start(small_dataset, small_task, tmp_path / "run", prepared_cases=tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_a_run_can_be_resumed_after_its_prepared_cases_were_deleted(small_dataset, small_task, tmp_path):
    import shutil

    start(small_dataset, small_task, tmp_path / "run")
    shutil.rmtree(tmp_path / "bedside-cases")
    again = start(small_dataset, small_task, tmp_path / "run", resume=True)
    assert again.train[0].image().shape == (36, 66, 70)


def test_labels_that_are_not_the_tasks_are_refused_before_a_folder_is_made(small_dataset, small_task, tmp_path):
    with pytest.raises(InputError, match='label 1 is "cube"'):
        start(small_dataset, small_task.replaced(labels=("background", "ball")), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_progress_is_heard_from_the_start_for_reading_takes_time_too(small_dataset, small_task, tmp_path):
    seen = []
    start(small_dataset, small_task, tmp_path / "run", progress=lambda *at: seen.append(at))
    assert seen[0] == (0, 3)
    assert seen[-1] == (3, 3)


def test_a_run_records_its_fold_and_is_not_resumed_on_another(small_dataset, small_task, tmp_path):
    cases = (*small_dataset.training, *small_dataset.validation)
    folded = replace(small_dataset, validation=(), training=tuple(replace(c, fold=n) for n, c in enumerate(cases)))
    run = start(folded.split(fold=1), small_task, tmp_path / "run").run
    assert Run.open(run.path).config.fold == 1
    start(folded.split(fold=1), small_task, tmp_path / "run", resume=True)
    with pytest.raises(UsageError, match=r"differs in: the training and validation cases: --fold"):
        start(folded.split(fold=2), small_task, tmp_path / "run", resume=True)
    with pytest.raises(UsageError, match="training and validation cases"):
        start(folded, small_task, tmp_path / "run", resume=True)


def test_runs_of_other_training_cases_record_the_same_validation_cases_alike(small_dataset, small_task, tmp_path):
    fewer = replace(small_dataset, training=small_dataset.training[:1])
    one, two = (start(each, small_task, tmp_path / str(each is fewer)).run.config for each in (small_dataset, fewer))
    assert one.validation_hash == two.validation_hash
    assert one.data_hash != two.data_hash
    swapped = replace(small_dataset, training=small_dataset.validation, validation=small_dataset.training)
    assert start(swapped, small_task, tmp_path / "c").run.config.validation_hash != one.validation_hash


def test_a_run_of_before_splits_were_recorded_goes_on(small_dataset, small_task, tmp_path):
    config = tmp_path / "run" / "config.toml"
    start(small_dataset, small_task, tmp_path / "run")
    lines = [line for line in config.read_text().splitlines() if not line.startswith("split_hash")]
    config.write_text("\n".join(lines))
    assert start(small_dataset, small_task, tmp_path / "run", resume=True).run.config.split_hash


def test_what_deserves_a_look_in_the_list_is_logged_when_training_starts(small_dataset, small_task, tmp_path, caplog):
    start(replace(small_dataset, modality=("MRI",), warnings=("a remark",)), small_task, tmp_path / "run")
    assert "a remark" in caplog.text
    assert 'the list calls its images "MRI", and task "cube" is for CT' in caplog.text


@pytest.mark.parametrize(("share", "said"), [(0.25, "25 % of the crops"), (0.0, "which take no part")])
def test_the_part_of_scans_without_labels_is_said(small_dataset, small_task, tmp_path, caplog, share, said):
    scan = Case("scan", small_dataset.training[1].image)
    dataset = replace(small_dataset, training=small_dataset.training[:1], unlabelled=(scan,))
    with caplog.at_level("INFO"):
        start(dataset, small_task, tmp_path / "run", recipe=Recipe(epochs=1, warmup=0, unlabelled=share))
    assert f"scans without labels: 1, {said}" in caplog.text


def test_a_data_set_without_such_scans_says_nothing_of_them(small_dataset, small_task, tmp_path, caplog):
    with caplog.at_level("INFO"):
        start(small_dataset, small_task, tmp_path / "run")
    assert "scans without labels" not in caplog.text


@pytest.fixture
def copy_of_validation(small_dataset, tmp_path):
    """Writes the scan of the validation case once more."""
    (validated,) = small_dataset.validation
    (tmp_path / "copy.nii.gz").write_bytes(validated.image.read_bytes())
    return replace(validated, name="copy", image=tmp_path / "copy.nii.gz")


def test_a_training_case_that_is_a_copy_of_a_validation_scan_is_warned_of(
    copy_of_validation, small_dataset, small_task, tmp_path, caplog
):
    changed = replace(small_dataset, training=(*small_dataset.training, copy_of_validation))
    start(changed, small_task, tmp_path / "run")
    assert "copies of validation scans, whose Dice is then too high: copy; leave them out" in caplog.text


def test_a_scan_without_labels_that_is_a_copy_of_a_validation_scan_is_left_out_under_any_name(
    copy_of_validation, small_dataset, small_task, tmp_path, caplog
):
    (validated,), (trained, other) = small_dataset.validation, small_dataset.training
    # Scans without labels come from a folder of their own: names may be those of other cases.
    scans = tuple(replace(copy_of_validation, name=name, label=None) for name in ("copy", validated.name))
    changed = replace(small_dataset, training=(trained,), unlabelled=(*scans, Case("other", other.image)))
    prepared = start(changed, small_task, tmp_path / "run", recipe=Recipe(epochs=1, warmup=0, unlabelled=0.5))
    assert [case.name for case in prepared.unlabelled] == ["other"]
    assert f"or of training or validation cases, and left out: {validated.name}, copy" in caplog.text


def test_the_order_of_the_list_does_not_decide_which_crops_are_drawn(small_dataset, small_task, tmp_path):
    """A run may be resumed with the list written anew: its hash is the same in every order."""
    cases = small_dataset.training
    one, other = (
        start(replace(small_dataset, training=each), small_task, tmp_path / str(number))
        for number, each in enumerate((cases, cases[::-1]))
    )
    assert len(cases) > 1
    assert [case.name for case in one.train] == [case.name for case in other.train]
    assert one.run.config.data_hash == other.run.config.data_hash


def test_the_order_of_scans_without_labels_does_not_decide_which_crops_are_drawn(small_dataset, small_task, tmp_path):
    scans = tuple(Case(name, case.image) for name, case in zip("ab", small_dataset.training, strict=True))
    labelled = replace(small_dataset, training=small_dataset.validation)
    recipe = Recipe(epochs=1, warmup=0, unlabelled=0.5)
    one, other = (
        start(replace(labelled, unlabelled=each), small_task, tmp_path / str(number), recipe=recipe)
        for number, each in enumerate((scans, scans[::-1]))
    )
    assert [case.name for case in one.unlabelled] == [case.name for case in other.unlabelled] == ["a", "b"]
    assert one.run.config.unlabelled_hash == other.run.config.unlabelled_hash


def test_scans_without_labels_are_no_copies_of_others_and_no_test_scans(small_dataset, small_task, tmp_path, caplog):
    trained, other = small_dataset.training
    scans = tuple(Case(name, case.image) for name, case in (("a", trained), ("b", other), ("c", other)))
    dataset = replace(small_dataset, training=(trained,), unlabelled=scans, test=(other,))
    with caplog.at_level("INFO"):
        prepared = start(dataset, small_task, tmp_path / "run", recipe=Recipe(epochs=1, warmup=0, unlabelled=0.5))
    assert [case.name for case in prepared.unlabelled] == ["b"]
    assert "copies of others, or of training or validation cases, and left out: a, c" in caplog.text
    assert (
        "scans that are trained on are test scans too, or copies of some, whose Dice is then too high: b;"
        in caplog.text
    )
    assert "scans without labels: 1, 50 % of the crops" in caplog.text


def test_a_case_in_both_lists_is_warned_of_and_is_no_copy(small_dataset, small_task, tmp_path, caplog):
    first, *_ = small_dataset.training
    both = replace(small_dataset, validation=(first, *small_dataset.validation))
    start(both, small_task, tmp_path / "run")
    assert f"in the validation list, whose Dice is then too high: {first.name}; take them out" in caplog.text
    assert "copies" not in caplog.text


def test_lists_without_a_common_case_are_not_warned_of(small_dataset, small_task, tmp_path, caplog):
    start(small_dataset, small_task, tmp_path / "run")
    assert "too high" not in caplog.text


def sided(dataset, task):
    """The same cases, their only label named as the left one of two."""
    labels = ("background", "cube left", "cube right")
    return replace(dataset, labels=labels), task.replaced(labels=labels)


def test_the_pairs_that_keep_sides_from_being_mirrored_are_told(small_dataset, small_task, tmp_path, caplog):
    dataset, task = sided(small_dataset, small_task)
    with caplog.at_level("INFO", "bedside.training"):
        start(dataset, task, tmp_path / "run")
    assert "left and right are not mirrored, for labels name sides: cube left / cube right" in caplog.text


def test_flips_along_an_axis_whose_ends_have_names_are_noted(small_dataset, small_task, tmp_path, caplog):
    labels = ("background", "anterior", "posterior")
    with caplog.at_level("INFO", "bedside.training"):
        start(replace(small_dataset, labels=labels), small_task.replaced(labels=labels), tmp_path / "run")
    assert "crops are flipped from front to back, where labels name ends: anterior / posterior" in caplog.text


def test_a_patch_that_prevents_rotations_is_noted(small_dataset, small_task, tmp_path, caplog):
    with caplog.at_level("INFO", "bedside.training"):
        start(small_dataset, small_task, tmp_path / "square")
        assert "crops are not rotated" not in caplog.text
        start(small_dataset, small_task.replaced(patch=(64, 32, 32)), tmp_path / "run")
    assert "crops are not rotated by right angles (--rotate), for the patch is not square" in caplog.text


def test_mirroring_on_request_is_noted_where_labels_are_pairs(small_dataset, small_task, tmp_path, caplog):
    dataset, task = sided(small_dataset, small_task)
    recipe = Recipe(epochs=1, warmup=0, augmentation=Augmentation(mirror=0.5))
    with caplog.at_level("INFO", "bedside.training"):
        start(dataset, task, tmp_path / "run", recipe=recipe)
    assert "left and right are mirrored, and labels change places: cube left / cube right" in caplog.text


def test_an_organ_that_no_training_case_has_is_named(small_dataset, small_task, tmp_path, caplog):
    dataset, task = sided(small_dataset, small_task)
    start(dataset, task, tmp_path / "run")
    assert "in no training case: cube right; a network cannot learn what it is not shown" in caplog.text


def test_nothing_but_empty_label_maps_is_warned_of(small_dataset, small_task, tmp_path, caplog):
    empty = tmp_path / "empty.nii.gz"
    grid = read_labels(small_dataset.training[0].label).grid
    write_volume(empty, np.zeros(grid.shape, np.uint8), grid)
    cases = tuple(replace(case, label=empty) for case in small_dataset.training)
    start(replace(small_dataset, training=cases), small_task, tmp_path / "run")
    assert "no training case has a label: a network can learn nothing but background" in caplog.text


def test_a_run_that_is_being_trained_is_refused_at_once_but_can_be_read(small_dataset, small_task, tmp_path):
    job = TrainingJob(dataset=small_dataset, task=small_task, out=tmp_path / "run", recipe=RECIPE)
    with prepare_run(job, RECORD, GROUP) as prepared:
        heard = []
        with pytest.raises(ResourceError, match='another process trains in "run"'):
            start(small_dataset, small_task, tmp_path / "run", resume=True, progress=lambda *at: heard.append(at))
        assert heard == []
        assert Run.open(tmp_path / "run").config == prepared.run.config
    start(small_dataset, small_task, tmp_path / "run", resume=True)


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_a_run_keeps_the_scans_that_it_learns_from_and_no_others(small_dataset, small_task, tmp_path, share):
    labelled, scan = small_dataset.training[0], Case("scan", small_dataset.training[1].image)
    dataset = replace(small_dataset, training=(labelled,), unlabelled=(scan,))
    prepared = start(dataset, small_task, tmp_path / "run", recipe=Recipe(epochs=1, warmup=0, unlabelled=share))
    learned = LearnedFrom.of_run(prepared.run)
    assert learned.knows_all
    assert learned.scans == {file_sha256(case.image) for case in ((labelled, scan) if share else (labelled,))}
    validated = {file_sha256(case.image) for case in dataset.validation}
    assert prepared.validation_scans == learned.validation_scans == validated


def test_what_teachers_learned_from_counts_too_and_is_unknown_if_one_of_them_does_not_say(
    small_dataset, small_task, tmp_path
):
    own = {file_sha256(case.image) for case in small_dataset.training}
    sure, unsure = LearnedFrom(scans=frozenset({"ab" * 32}), knows_all=True), LearnedFrom(data_hash="cd" * 32)
    for name, earlier in (("sure", (sure, sure)), ("unsure", (sure, unsure))):
        run = start(small_dataset, small_task, tmp_path / name, record=replace(RECORD, earlier=earlier)).run
        learned = LearnedFrom.of_run(run)
        assert learned.scans == {*own, "ab" * 32}
        assert learned.knows_all == (name == "sure")


def test_a_run_of_before_scans_were_recorded_is_given_their_record_when_it_goes_on(small_dataset, small_task, tmp_path):
    start(small_dataset, small_task, tmp_path / "run")
    (tmp_path / "run" / "learned_from.json").unlink()
    assert LearnedFrom.of_run(start(small_dataset, small_task, tmp_path / "run", resume=True).run).scans
