"""What a run records of its scans depends on their content, and a copy is no scan of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bedside.runtime.files.hashing import file_sha256
from bedside.training.data.dataset import Case
from bedside.training.job import TrainingJob
from bedside.training.recipe import Recipe
from bedside.training.runs.learned_from import LearnedFrom
from bedside.training.runs.run_config import ModelConfig
from bedside.training.training_scans import TrainingScans


@pytest.fixture
def hashes(small_dataset):
    return {case.name: file_sha256(case.image) for case in (*small_dataset.training, *small_dataset.validation)}


def hashed(dataset, unlabelled=()):
    return TrainingScans.hashed(dataset, (*dataset.training, *dataset.validation), unlabelled, 2)


def test_a_scan_without_labels_that_is_a_copy_is_left_out(small_dataset):
    copy = Case("copy", small_dataset.training[0].image)
    label_map = Case("another", small_dataset.training[0].label)  # another file, whatever is in it
    scans = hashed(small_dataset, [copy, label_map])
    assert [case.name for case in scans.unlabelled] == ["another"]
    assert [digest.image for digest in scans.unlabelled_digests] == [file_sha256(label_map.image)]


def test_the_training_learns_from_scans_with_and_without_labels_and_from_what_its_teachers_did(small_dataset, hashes):
    unlabelled = Case("another", small_dataset.training[0].label)
    earlier = LearnedFrom(scans=frozenset({"a" * 64}), knows_all=False, validation_scans=frozenset({"b" * 64}))
    learned = hashed(small_dataset, [unlabelled]).learned_from([earlier])
    assert learned.scans == {hashes["case0"], hashes["case1"], file_sha256(unlabelled.image), "a" * 64}
    assert learned.validation_scans == {hashes["case2"], "b" * 64}
    assert not learned.knows_all


def test_the_configuration_tells_the_halves_of_a_split_apart(small_dataset, small_task, tmp_path):
    job = TrainingJob(dataset=small_dataset, task=small_task, out=tmp_path, recipe=Recipe(epochs=1, warmup=0))
    swapped = replace(small_dataset, training=small_dataset.training[::-1])
    moved = replace(
        small_dataset,
        training=(small_dataset.training[0], *small_dataset.validation),
        validation=small_dataset.training[1:],
    )
    model = ModelConfig(kind="teacher", name="x")
    one, other, third = (hashed(dataset).config(job, model, None) for dataset in (small_dataset, swapped, moved))
    assert one == other
    assert one.data_hash == third.data_hash
    assert one.split_hash != third.split_hash
    assert one.validation_hash != third.validation_hash
