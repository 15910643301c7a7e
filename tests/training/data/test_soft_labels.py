"""Soft labels: rounded to 1/255, background implied, blocks of zeros not stored, content verified."""

import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.training.data.soft_labels import SoftLabels, expected_bytes, quantized, write_soft_labels
from hypothesis import given, settings
from hypothesis import strategies as st

SHAPE = (20, 33, 17)  # no multiples of a block's edge


def probabilities(seed, classes=4, shape=SHAPE, sharpness=6.0):
    logits = sharpness * np.random.default_rng(seed).standard_normal((classes, *shape))
    weights = np.exp(logits - logits.max(axis=0))
    return (weights / weights.sum(axis=0)).astype(np.float32)


def stored(folder, values, **options):
    folder.mkdir()
    write_soft_labels(folder, values, **options)
    return SoftLabels.open(folder)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**31), classes=st.integers(2, 200), sharpness=st.floats(0, 30))
def test_rounded_probabilities_sum_to_255_and_are_near_the_given_ones(seed, classes, sharpness):
    given = probabilities(seed, classes, (2, 3, 2), sharpness)
    levels = quantized(given)
    assert (levels.sum(axis=0, dtype=int) == 255).all()
    assert np.abs(levels / 255 - given).max() <= 1 / 255 + 1e-6


@pytest.mark.parametrize("share", [0.00195, 0.00203])  # a little below and above half of 1/255
def test_many_faint_classes_do_not_shift_the_background(share):
    given = np.array([0.36, 0.64 - 118 * share, *[share] * 118]).reshape(-1, 1, 1, 1)
    levels = quantized(given)
    assert (levels.sum(), levels.argmax()) == (255, given.argmax())
    assert np.abs(levels / 255 - given).max() < 1 / 255


def test_a_whole_case_and_any_box_of_it_are_read_back(tmp_path):
    given = probabilities(0)
    arrays = stored(tmp_path / "a", given).arrays()
    assert np.array_equal(arrays.whole(), quantized(given))
    rng = np.random.default_rng(1)
    for _ in range(30):
        ends = [sorted(rng.choice(edge + 1, 2, replace=False)) for edge in SHAPE]
        box = tuple(slice(int(low), int(high)) for low, high in ends)
        assert np.array_equal(arrays[box], quantized(given)[(slice(None), *box)])


def test_organs_that_fill_little_of_a_scan_take_a_fraction_of_its_probabilities(tmp_path):
    given = np.zeros((14, 64, 96, 96), np.float32)
    for label in range(1, 14):
        given[label, 30:42, 5 * label : 5 * label + 12, 40:60] = 1 / 13
    given[0] = 1 - given[1:].sum(axis=0)
    soft = stored(tmp_path / "a", given)
    on_disk = sum(file.stat().st_size for file in soft.folder.iterdir())
    assert on_disk < 14 * 64 * 96 * 96 * 2 / 12  # of float16


def test_the_estimate_is_above_what_a_perfect_teacher_needs_and_not_far_above(tmp_path):
    labels = np.zeros((48, 64, 64), np.uint8)
    labels[10:20, 10:30, 10:40], labels[22:40, 40:60, 8:20] = 1, 2
    soft = stored(tmp_path / "a", np.stack([labels == value for value in range(3)]).astype(np.float32))
    on_disk = (soft.folder / "blocks.npy").stat().st_size
    assert on_disk <= expected_bytes(labels) + 5000 <= 3 * on_disk + 5000


def test_crop_centres_are_stored_where_they_are_asked_for(tmp_path):
    given = np.zeros((3, 8, 8, 8), np.float32)
    given[2, 2:4, 2:4, 2:4] = 1
    given[0] = 1 - given[2]
    assert stored(tmp_path / "a", given).centre_counts == {}
    soft = stored(tmp_path / "b", given, body=np.arange(128, 512))
    assert soft.counts == {0: 504, 2: 8}
    assert soft.centre_counts == {0: 384 - 8, 2: 8}
    centres = np.load(soft.centres_file)
    organ = centres[soft.centre_counts[0] :]
    assert (given[2].reshape(-1)[organ] == 1).all()
    assert (given[2].reshape(-1)[centres[: soft.centre_counts[0]]] == 0).all()


@pytest.mark.parametrize("file", ["table.npy", "blocks.npy", "soft_labels.json"])
def test_damage_is_found_when_they_are_opened(tmp_path, file):
    soft = stored(tmp_path / "a", probabilities(0))
    content = bytearray((soft.folder / file).read_bytes())
    content[len(content) // 2] ^= 0xFF
    (soft.folder / file).write_bytes(content)
    with pytest.raises(InputError, match=r"soft labels a: .*; delete the folder"):
        SoftLabels.open(soft.folder)


def test_a_missing_file_is_an_input_error(tmp_path):
    soft = stored(tmp_path / "a", probabilities(0))
    (soft.folder / "blocks.npy").unlink()
    with pytest.raises(InputError, match="soft labels a: cannot be read"):
        SoftLabels.open(soft.folder)
