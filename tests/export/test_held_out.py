"""When the gate's cases of a data set are known to be held out, and what is said where they are not."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from bedside.export.cases import ExportCases
from bedside.runtime import Grid, write_volume
from bedside.runtime.files.hashing import file_sha256
from bedside.training.data.case_digest import cases_of_trainings, data_hash, digest_cases
from bedside.training.data.dataset import load_dataset
from bedside.training.runs.learned_from import LearnedFrom

NOT_KNOWN = "the gate cases are not known to be held out"
FEW = "expected at least 10 gate cases, got 1: losses may not show"


@pytest.fixture
def folder(tmp_path):
    """A data set with one case for training and one for the gate."""
    grid = Grid((4, 4, 4), np.diag([3.0, 3.0, 3.0, 1.0]))
    labels = np.zeros(grid.shape, np.uint8)
    labels[1], labels[2] = 1, 2
    for value, name in enumerate(("train", "test")):
        write_volume(tmp_path / f"{name}.nii", np.full(grid.shape, value, np.int16), grid)
        write_volume(tmp_path / f"{name}-label.nii", labels, grid)
    return tmp_path


def listed(folder, **more):
    entry = {name: {"image": f"{name}.nii", "label": f"{name}-label.nii"} for name in ("train", "test")}
    lists = {"training": [entry["train"]], "test": [entry["test"]], **more}
    (folder / "dataset.json").write_text(json.dumps({"labels": ["background", "fat", "bone"], **lists}))
    return folder


def warning(folder, task, **hashes: str) -> str:
    """Returns the warning about the gate, where networks record only the hash of their data set."""
    return warning_of(folder, task, **{network: LearnedFrom(data_hash=value) for network, value in hashes.items()})


def warning_of(folder, task, **trained_on: LearnedFrom) -> str:
    return str(ExportCases.of_dataset(folder, task, 1, trained_on).warning)


def elsewhere(**fields) -> LearnedFrom:
    """What a network records that learned from another data set, without validation cases unless told otherwise."""
    given = {"scans": frozenset({"cd" * 32}), "knows_all": True, "validation_scans": frozenset(), **fields}
    return LearnedFrom("elsewhere", "ab" * 32, **given)


def hash_of(folder, task) -> str:
    cases = cases_of_trainings(load_dataset(folder, labels=task.labels))
    return data_hash(cases, digest_cases(cases))


def test_the_cases_of_the_data_set_that_a_network_was_trained_on_are_held_out(folder, toy_task):
    listed(folder)
    assert NOT_KNOWN not in warning(folder, toy_task, student=hash_of(folder, toy_task))


def test_those_of_another_data_set_are_not_known_to_be(folder, toy_task):
    listed(folder)
    own = hash_of(folder, toy_task)
    said = warning(folder, toy_task, student=own, locator="ab" * 32)
    assert f"locator was trained on other data, or on another selection of these: {NOT_KNOWN}" in said
    assert "student was" not in said


def test_those_of_a_network_without_a_record_are_not_known_to_be(folder, toy_task):
    assert f"what student was trained on is not recorded: {NOT_KNOWN}" in warning(listed(folder), toy_task, student="")


def test_a_copy_of_a_training_case_is_found_by_its_content(folder, toy_task):
    shutil.copy(folder / "train.nii", folder / "test.nii")
    listed(folder)
    said = warning(folder, toy_task, student=hash_of(folder, toy_task))
    assert "a gate case is a copy of a training case: its Dice says nothing about new scans" in said


def test_a_case_that_is_listed_without_labels_too_may_have_taught(folder, toy_task):
    listed(folder, unlabeled=[{"image": "test.nii"}])
    said = warning(folder, toy_task, student=hash_of(folder, toy_task))
    assert f"a gate case is in the list of scans without labels too, from which students may learn: {NOT_KNOWN}" in said


def test_scans_of_another_data_set_are_held_out_where_each_scan_learned_from_is_known(folder, toy_task):
    listed(folder)
    assert warning_of(folder, toy_task, student=elsewhere()) == FEW


def test_a_scan_of_the_gate_that_the_network_learned_from_is_found_in_whatever_list_it_was(folder, toy_task):
    listed(folder, unlabeled=[{"image": "test.nii"}])
    learned = elsewhere(scans=frozenset({file_sha256(folder / "test.nii"), "cd" * 32}))
    said = warning_of(folder, toy_task, student=learned)
    assert "student has learned from 1 of the 1 scans of the gate, directly or through what taught it" in said
    assert NOT_KNOWN not in said


def test_what_teachers_without_a_record_had_learned_from_is_not_known(folder, toy_task):
    learned = LearnedFrom(
        data_hash=hash_of(listed(folder), toy_task), scans=frozenset({"cd" * 32}), validation_scans=frozenset()
    )
    said = warning_of(folder, toy_task, student=learned)
    assert said == f"{FEW}; what taught student does not say from which scans it had learned: {NOT_KNOWN}"


def test_a_locator_without_a_record_is_told_from_a_student_with_one(folder, toy_task):
    said = warning_of(listed(folder), toy_task, student=elsewhere(), locator=LearnedFrom())
    assert said == f"{FEW}; what locator was trained on is not recorded: {NOT_KNOWN}"


CHOSE = "1 of the 1 scans of the gate are validation cases of student: they chose its best epoch"
OFFSETS = ", and its class offsets were fitted to them"
TOO_HIGH = ", so that their Dice is too high for new scans, though fair between variants"


def validated(folder):
    """The same data set, whose case for the gate is a validation case."""
    listed(folder, test=[], validation=[{"image": "test.nii", "label": "test-label.nii"}])
    return folder


def validation_hash_of(folder, task) -> str:
    cases = load_dataset(folder, labels=task.labels).validation
    return data_hash(cases, digest_cases(cases))


@pytest.mark.parametrize(("offsets", "said"), [(False, CHOSE + TOO_HIGH), (True, CHOSE + OFFSETS + TOO_HIGH)])
@pytest.mark.parametrize("gate", [listed, validated])
def test_a_scan_of_the_gate_that_chose_the_epoch_is_found_in_whatever_list_it_is(folder, toy_task, gate, offsets, said):
    chosen_by = frozenset({file_sha256(folder / "test.nii"), "ef" * 32})
    learned = elsewhere(validation_scans=chosen_by, class_offsets=offsets)
    assert warning_of(gate(folder), toy_task, student=learned) == f"{FEW}; {said}"


@pytest.mark.parametrize("scans", [frozenset(), frozenset({"cd" * 32})])
def test_of_a_run_that_kept_a_hash_alone_the_same_validation_list_is_known_to_have_chosen_it(folder, toy_task, scans):
    lists = hash_of(validated(folder), toy_task), validation_hash_of(folder, toy_task)
    learned = LearnedFrom("toy", *lists, scans=scans, knows_all=True, class_offsets=True)
    assert warning_of(folder, toy_task, student=learned) == f"{FEW}; {CHOSE}{OFFSETS}{TOO_HIGH}"


@pytest.mark.parametrize("other", ["", "ef" * 32])
@pytest.mark.parametrize("scans", [frozenset(), frozenset({"cd" * 32})])
def test_another_split_of_the_same_data_set_may_have_chosen_it_by_cases_of_the_gate(folder, toy_task, scans, other):
    learned = LearnedFrom("toy", hash_of(validated(folder), toy_task), other, scans=scans, knows_all=True)
    said = f"which of the data set's cases chose the best epoch of student is not recorded: {NOT_KNOWN}"
    assert warning_of(folder, toy_task, student=learned) == f"{FEW}; {said}"


def test_validation_cases_of_another_data_set_that_are_not_recorded_may_be_those_of_the_gate(folder, toy_task):
    said = "which scans chose the best epoch of student is not recorded: those of the gate may be among them"
    assert warning_of(listed(folder), toy_task, student=elsewhere(validation_scans=None)) == f"{FEW}; {said}"


def test_a_training_without_validation_cases_was_chosen_by_none(folder, toy_task):
    learned = elsewhere(validation_scans=None, validation_hash=data_hash((), ()))
    assert warning_of(validated(folder), toy_task, student=learned) == FEW
