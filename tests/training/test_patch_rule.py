import pytest
from bedside.runtime.axes import DHW
from bedside.training.patch_rule import PatchRule


@pytest.mark.parametrize(
    ("patch", "accepted"),
    [((40, 56, 40), True), ((8, 8, 16), True), ((8, 8, 8), False), ((40, 60, 40), False), ((0, 8, 16), False)],
)
def test_a_stride_of_8_wants_multiples_of_8_and_two_of_them_somewhere(patch, accepted):
    assert PatchRule.of_stride(8).accepts(DHW(*patch)) is accepted


@pytest.mark.parametrize(
    ("rule", "smallest"),
    [
        (PatchRule(), (1, 1, 1)),
        (PatchRule(multiple=4), (4, 4, 4)),
        (PatchRule.of_stride(32), (32, 32, 64)),
        (PatchRule(multiple=4, min_longest_edge=10), (4, 4, 12)),
    ],
)
def test_the_smallest_patch_is_accepted(rule, smallest):
    assert rule.smallest == smallest
    assert rule.accepts(rule.smallest)


@pytest.mark.parametrize(
    ("sizes", "covering"), [((64, 64, 64), (64, 64, 64)), ((40, 65, 1), (64, 96, 32)), ((3, 3, 3), (32, 32, 64))]
)
def test_the_patch_that_covers_a_box_is_the_next_larger_one(sizes, covering):
    assert PatchRule.of_stride(32).covering(DHW(*sizes)) == covering


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (PatchRule(), "of any size"),
        (PatchRule(min_longest_edge=5), "of any size, one at least 5"),
        (PatchRule(multiple=8), "in multiples of 8 voxels"),
        (PatchRule.of_stride(8), "in multiples of 8 voxels, one at least 16"),
    ],
)
def test_the_rule_says_itself(rule, text):
    assert str(rule) == text
