"""The best class of each voxel is NumPy's argmax, in the smallest type that holds every label."""

import numpy as np
import pytest
from bedside.runtime.labels.best_class import best_class, label_dtype


@pytest.mark.parametrize("classes", [1, 2, 14, 300])
def test_it_is_argmax_and_the_lower_class_wins_a_tie(rng, classes):
    scores = rng.integers(0, 4, (classes, 5, 6, 7)).astype(np.float32)
    labels = best_class(scores)
    np.testing.assert_array_equal(labels, scores.argmax(axis=0))
    assert labels.dtype == label_dtype(classes)


def test_labels_above_255_need_two_bytes():
    assert (label_dtype(256), label_dtype(257)) == (np.uint8, np.uint16)
