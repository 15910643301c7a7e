import pytest
from bedside.teacher.depth_axes import DEPTH_AXES


@pytest.mark.parametrize(("axis", "first"), [("z", 0), ("y", 1), ("x", 2)])
def test_the_depth_axis_comes_first_and_the_others_keep_their_order(axis, first):
    order = DEPTH_AXES[axis]
    assert order[0] == first
    assert list(order[1:]) == sorted({0, 1, 2} - {first})
