"""The cost that a row of the registry states."""

import pytest
from bedside.distill import STUDENTS
from bedside.runtime.errors import UsageError


@pytest.fixture
def tiny(tiny_networks):
    """Convolutions 1 → 2 of 3³ with bias, ReLU, 2 → classes of 1³; patches in multiples of 4."""
    return STUDENTS.find("tiny")


def test_the_cost_is_that_of_the_smallest_patch_unless_another_is_given(tiny):
    voxels = 4**3
    smallest, larger = tiny.cost(num_classes=3), tiny.cost(num_classes=3, patch=(4, 4, 12))
    assert smallest.parameters == larger.parameters == (27 * 2 + 2) + (2 * 3 + 3)
    assert smallest.flops == 2 * voxels * (27 * 2 + 2 * 3)
    assert larger.flops == 3 * smallest.flops
    assert larger.activation_bytes == 3 * smallest.activation_bytes


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_classes": 1}, "num_classes: expected a whole number from 2"),
        ({"patch": (4, 4, 6)}, r"patch: expected \(D, H, W\) in multiples of 4 voxels, got \(4, 4, 6\)"),
        ({"patch": (4, 4)}, "patch: expected"),
    ],
)
def test_an_invalid_argument_is_refused(tiny, given, message):
    with pytest.raises(UsageError, match=message):
        tiny.cost(**{"num_classes": 2, **given})
