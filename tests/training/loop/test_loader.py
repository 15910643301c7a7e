from types import SimpleNamespace

import pytest
from bedside.training.loop.loader import CropOrder
from bedside.training.recipe import Recipe
from hypothesis import given
from hypothesis import strategies as st


def order(rank, size, *, steps=3, epoch=0, step=0, **options):
    recipe = Recipe(warmup=0, **options)
    return list(CropOrder(recipe, SimpleNamespace(rank=rank, size=size), steps=steps, epoch=epoch, step=step))


def test_one_process_takes_crops_in_a_row():
    assert order(0, 1, epochs=2, batch=2, steps=2) == [
        [(0, 0), (0, 1)], [(0, 2), (0, 3)], [(1, 0), (1, 1)], [(1, 2), (1, 3)],
    ]  # fmt: skip


def test_two_processes_take_batches_in_turn():
    assert order(0, 2, epochs=1, batch=2, steps=2) == [[(0, 0), (0, 1)], [(0, 4), (0, 5)]]
    assert order(1, 2, epochs=1, batch=2, steps=2) == [[(0, 2), (0, 3)], [(0, 6), (0, 7)]]


def test_a_resumed_training_goes_on_with_the_next_step():
    whole = order(0, 1, epochs=3, batch=2)
    assert order(0, 1, epochs=3, batch=2, epoch=1, step=2) == whole[5:]


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_every_step_takes_the_same_batches_whatever_the_number_of_processes(processes, accumulate, batch, steps):
    alone = order(0, 1, epochs=2, batch=batch, accumulate=accumulate * processes, steps=steps)
    shares = [
        order(rank, processes, epochs=2, batch=batch, accumulate=accumulate, steps=steps) for rank in range(processes)
    ]
    per_step = accumulate * processes
    for step in range(2 * steps):
        taken = [share[step * accumulate + turn] for share in shares for turn in range(accumulate)]
        assert sorted(taken) == sorted(alone[step * per_step : (step + 1) * per_step])


@pytest.mark.parametrize(
    ("cases", "options", "steps"),
    [(24, {}, 24), (24, {"batch": 2}, 12), (24, {"processes": 4, "accumulate": 2}, 3), (25, {"processes": 4}, 7)],
)
def test_an_epoch_has_as_many_steps_as_it_takes_to_see_every_case(cases, options, steps):
    assert Recipe(**options).steps(cases) == steps
