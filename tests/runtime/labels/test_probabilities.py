import numpy as np
import pytest
from bedside.runtime.labels.probabilities import LEVELS, softmax, to_levels
from scipy import special


def test_softmax_is_scipys_also_of_logits_that_overflow_by_themselves():
    logits = np.random.default_rng(0).normal(0, 300, (4, 3, 5, 6)).astype(np.float32)
    assert softmax(logits) == pytest.approx(special.softmax(logits.astype(np.float64), axis=0), abs=1e-6)
    assert softmax(logits).dtype == np.float32


def test_levels_are_the_nearest_of_256():
    probabilities = np.random.default_rng(0).random((3, 4, 5, 6), np.float32)
    levels = to_levels(probabilities)
    assert levels.dtype == np.uint8
    assert np.abs(levels / LEVELS - probabilities).max() <= 0.5 / LEVELS + 1e-6
    assert to_levels(np.array([0, 1], np.float32)).tolist() == [0, LEVELS]
