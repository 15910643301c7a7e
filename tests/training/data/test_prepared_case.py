"""A stored case: what is written opens again, and damage is named."""

import json

import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.training.data.ignore_label import IGNORED
from bedside.training.data.prepared_case import PreparedCase, label_counts, open_array, write_arrays

SHAPE = (4, 5, 6)


@pytest.fixture
def write(tmp_path):
    """Stores label 1 in the first plane, label 3 in a row of the second, in a body that leaves out the last plane."""

    def stored(**options):
        labels = np.zeros(SHAPE, np.uint16)
        labels[0], labels[1, 0], labels[2, 0, :2] = 1, 3, IGNORED
        body = np.ones(SHAPE, bool)
        body[3] = False
        image = np.arange(120, dtype=np.float32).reshape(SHAPE)
        options = {"has_ignored": True, **options}
        write_arrays(tmp_path, image, labels, body, (1.0, 2.0, 3.0), ("odd",), "toy", **options)
        return PreparedCase.open(tmp_path, "case")

    return stored


def test_what_is_written_opens_again(write):
    case = write()
    assert (case.name, case.task, case.spacing, case.warnings) == ("case", "toy", (1.0, 2.0, 3.0), ("odd",))
    assert (case.counts, case.present, case.ignored) == ({0: 82, 1: 30, 3: 6}, (1, 3), 2)
    assert np.array_equal(case.image(), np.arange(120).reshape(SHAPE))
    assert not case.image().flags.writeable


def test_centres_are_the_places_of_their_label_and_of_the_body_around(write):
    case = write()
    flat = np.asarray(case.labels()).ravel()
    assert case.centre_counts == {0: 52, 1: 30, 3: 6}
    assert [set(flat[case.centres(label)]) for label in (0, 1, 3)] == [{0}, {1}, {3}]
    assert case.centres(0).max() < 90  # none in the plane without body
    assert (case.centre_range(3), case.centre_range(2)) == (slice(82, 88), slice(0, 0))
    assert case.centres(2).size == 0


def test_ignored_voxels_are_shown_as_background(write):
    case = write()
    assert case.ignored_voxels().sum() == 2
    assert np.unique(case.organs()).tolist() == [0, 1, 3]


def test_without_an_ignore_label_the_highest_value_is_a_label(write):
    case = write(has_ignored=False)
    assert (case.ignored, case.ignored_voxels(), case.present) == (0, None, (1, 3, IGNORED))


def test_centres_of_a_large_organ_are_a_sample_that_is_the_same_each_time(tmp_path):
    labels = np.ones((30, 30, 30), np.uint8)
    draws = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_arrays(tmp_path / name, labels.astype(np.float32), labels, labels > 0, (1.0, 1.0, 1.0), (), "toy")
        draws.append(PreparedCase.open(tmp_path / name).centres(1))
    assert draws[0].size == len(np.unique(draws[0])) == 20_000
    assert np.array_equal(*draws)


def test_a_case_from_before_ignored_voxels_opens(write, tmp_path):
    write()
    facts = json.loads((tmp_path / "case.json").read_text())
    del facts["ignored"], facts["task"]
    (tmp_path / "case.json").write_text(json.dumps(facts))
    assert (PreparedCase.open(tmp_path).ignored, PreparedCase.open(tmp_path).task) == (0, "")


THIN = "the field of view is much smaller than what the network sees at once (z 4 mm of the patch's 99 mm): labels"


def test_the_warning_about_the_patch_is_that_of_the_task_not_the_stored_one(write, small_task, tmp_path):
    """The case has 6×5×4 voxels of 1, 2 and 3 mm: 6, 10 and 12 mm."""
    write()
    facts = json.loads((tmp_path / "case.json").read_text())
    (tmp_path / "case.json").write_text(json.dumps({**facts, "warnings": ["odd", THIN]}))  # as version 0.1 wrote it
    case, task = PreparedCase.open(tmp_path), small_task.replaced(spacing=(1.0, 2.0, 3.0))
    assert case.warnings == case.warnings_for(task.replaced(patch=(16, 12, 12))) == ("odd",)
    odd, thin = case.warnings_for(task.replaced(patch=(16, 16, 12)))
    assert odd == "odd"
    assert "(y 10 mm of the patch's 32 mm)" in thin


def test_no_warning_about_the_patch_is_stored(tmp_path):
    image = np.zeros(SHAPE, np.float32)
    write_arrays(tmp_path, image, None, image == 0, (1.0, 2.0, 3.0), (THIN, "odd"), "toy")
    assert json.loads((tmp_path / "case.json").read_text())["warnings"] == ["odd"]


@pytest.mark.parametrize("damage", ["no facts", "no array", "cut", "no JSON"])
def test_a_damaged_folder_is_refused_with_what_to_do(write, tmp_path, damage):
    write()
    if damage == "cut":
        (tmp_path / "image.npy").write_bytes(b"short")
    elif damage == "no JSON":
        (tmp_path / "case.json").write_text("{")
    else:
        (tmp_path / {"no facts": "case.json", "no array": "labels.npy"}[damage]).unlink()
    with pytest.raises(InputError, match=f"^prepared case {tmp_path.name}: .*; delete its folder$"):
        PreparedCase.open(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array", b"\x93NUMPY\1\0\x10\0{'descr': ((     "])
def test_an_array_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "image.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"image\.npy is missing or damaged; start again"):
        open_array(tmp_path / "image.npy")


def test_an_array_of_objects_is_never_unpickled(tmp_path):
    np.save(tmp_path / "image.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(InputError, match="missing or damaged"):
        open_array(tmp_path / "image.npy")


def test_counts_leave_out_labels_that_do_not_occur():
    labels = np.array([[[0, 5], [5, 5]], [[9, 0], [0, 0]]], np.uint16)
    assert label_counts(labels) == {0: 4, 5: 3, 9: 1}
