"""The orders of slices."""

from __future__ import annotations

import pytest
from bedside.teacher.sautomed.walks import training_walk, whole_walk


def predecessors(steps) -> dict[int, int | None]:
    """Slice → the slice whose history it takes over; None if it has none."""
    found: dict[int, int | None] = {}
    before: tuple[int, ...] = ()
    for step in steps:
        for place, number in enumerate(step.slices):
            assert number not in found
            found[number] = before[step.previous[place]] if step.previous else None
        before = step.slices
    return found


@pytest.mark.parametrize("depth", [1, 2, 5, 16, 33])
def test_from_the_middle_each_slice_follows_its_neighbour_towards_the_middle(depth):
    middle = depth // 2
    expected = {d: None if d == middle else d - 1 if d > middle else d + 1 for d in range(depth)}
    assert predecessors(whole_walk(depth, "middle")) == expected
    assert len(whole_walk(depth, "middle")) == middle + 1


@pytest.mark.parametrize("depth", [1, 16])
def test_from_end_to_end_each_slice_follows_the_one_before(depth):
    expected = {d: d - 1 if d else None for d in range(depth)}
    assert predecessors(whole_walk(depth, "end")) == expected


def test_in_training_runs_of_2_3_and_4_slices_start_without_history():
    assert predecessors(training_walk(9, "end")) == {0: None, 1: 0, 2: None, 3: 2, 4: 3, 5: None, 6: 5, 7: 6, 8: 7}


@pytest.mark.parametrize("depth", [1, 2, 3, 16, 37])
@pytest.mark.parametrize("order", ["middle", "end"])
def test_in_training_slices_follow_at_most_3_others_in_the_order_of_the_walk(depth, order):
    whole, runs = predecessors(whole_walk(depth, order)), predecessors(training_walk(depth, order))
    assert runs.keys() == whole.keys() == set(range(depth))
    assert all(before is None or before == whole[number] for number, before in runs.items())
    assert len(training_walk(depth, order)) <= 4


def test_runs_from_the_middle_go_both_ways():
    runs = predecessors(training_walk(10, "middle"))
    assert [runs[d] for d in (5, 6, 7, 8, 9)] == [None, 5, None, 7, 8]
    assert [runs[d] for d in (4, 3, 2, 1, 0)] == [None, 4, None, 2, 1]
