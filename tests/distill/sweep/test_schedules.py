"""Which runs of a sweep may be made longer, or begin, without following a schedule of their own."""

import re

import pytest
import torch
from bedside.distill.sweep.plan import SweepRun
from bedside.distill.sweep.schedules import check_schedules, schedule_doubts
from bedside.runtime.errors import UsageError
from bedside.runtime.task_presets import PRESETS
from bedside.training.loop.checkpoint import save_weights
from bedside.training.recipe import Recipe
from bedside.training.runs.best_weights import BestWeights
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import Lengthening, ModelConfig, RunConfig

FROM_TWO = (Lengthening(epoch=2, epochs=2),)


@pytest.fixture
def runs(tmp_path):
    """Returns a function that makes runs "a", "b", …: (epochs, epochs done, lengthened), or None for one not begun."""

    def make(*states):
        planned = [SweepRun(0.5, seed, tmp_path / name) for seed, name in zip(range(len(states)), "abc", strict=False)]
        for run, state in zip(planned, states, strict=True):
            if state is None:
                continue
            epochs, done, lengthened = state
            config = RunConfig(
                model=ModelConfig(kind="student", name="unet-nano"),
                task=PRESETS["btcv"],
                recipe=Recipe(epochs=epochs, warmup=0),
                dataset="d",
                data_hash="0",
                lengthened=lengthened,
            )
            begun = Run.create(run.path, config, resume=False)
            begun.start()
            save_weights(begun.best, torch.nn.Linear(3, 2), about=BestWeights(0))
            for epoch in range(done):
                begun.log(epoch, {"loss": 1.0})
        return planned

    return make


@pytest.mark.parametrize(
    "states",
    [
        ((2, 2, ()), (2, 2, ())),
        ((4, 3, FROM_TWO), (2, 2, ())),  # stopped while the first was made longer
        ((4, 2, ()), (4, 4, ())),
        (None, None),
        ((4, 4, ()), None),
        ((2, 1, ()),),  # one run is its own schedule
    ],
    ids=str,
)
def test_runs_that_go_on_from_one_epoch_or_not_at_all_follow_one_schedule(runs, states):
    check_schedules(runs(*states), 4)


@pytest.mark.parametrize(
    ("states", "named"),
    [
        (((2, 2, ()), None), "b"),
        (((2, 2, ()), (2, 1, ()), None), "b, c"),
        (((4, 4, FROM_TWO), (2, 1, ())), "b"),
    ],
    ids=str,
)
def test_runs_are_not_made_longer_before_all_have_ended(runs, states, named):
    expected = f"and not all have: {named}; give --epochs 2 first, then --epochs 4"
    with pytest.raises(UsageError, match=re.escape(expected)):
        check_schedules(runs(*states), 4)


@pytest.mark.parametrize("epochs", [4, None])
def test_no_run_begins_beside_one_that_was_made_longer(runs, epochs):
    with pytest.raises(UsageError, match=r'"a" was made longer, and a new run .*: leave b out, or train'):
        check_schedules(runs((4, 4, FROM_TWO), None), epochs)


def test_runs_of_one_schedule_are_compared_without_a_doubt(runs):
    assert schedule_doubts(runs((4, 4, FROM_TWO), (4, 4, FROM_TWO))) == ()


def test_the_runs_that_went_on_from_a_shorter_schedule_are_named(runs):
    (doubt,) = schedule_doubts(runs((4, 4, FROM_TWO), (4, 4, ()), (4, 4, FROM_TWO)))
    assert doubt.startswith("not all runs followed one schedule of the learning rate: a, c went on from shorter ones")
