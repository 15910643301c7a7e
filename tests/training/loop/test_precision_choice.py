"""What makes a training choose bfloat16. Outcomes and clocks are the test's own: no test depends on this processor."""

import itertools

import pytest
import torch
from bedside.training.loop.hardware import make_fabric
from bedside.training.loop.precision_check import PrecisionComparison
from bedside.training.loop.precision_choice import choose_precision, example_batch
from bedside.training.loop.process_group import ProcessGroup
from bedside.training.recipe import Recipe

from .test_precision_check import Scale, TwoProcesses

RECIPE = Recipe(batch=2)


@pytest.fixture
def choose(small_task):
    return lambda model, **fabric: choose_precision(
        model, RECIPE, small_task, ProcessGroup(fabric.get("fabric") or make_fabric("cpu", "auto"))
    )


@pytest.fixture
def outcome(monkeypatch):
    """Replaces the trial by its outcome."""
    return lambda *values: monkeypatch.setattr(
        "bedside.training.loop.precision_choice.compare_precisions",
        lambda *_, **__: PrecisionComparison(*values),
    )


@pytest.mark.parametrize(
    ("values", "precision", "reason"),
    [
        ((0.999, 1.01, 0.5), "bf16-mixed", "a pass is 2.00 times as fast as in 32-true"),
        ((0.999, 1.01, 0.9), "bf16-mixed", "a pass is 1.11 times as fast as in 32-true"),
        ((0.999, 1.01, 0.92), "32-true", "a pass in bf16-mixed is 1.09 times as fast, expected 1.1 or more"),
        ((0.999, 1.01, 20.0), "32-true", "a pass in bf16-mixed is 0.05 times as fast"),
        ((0.5, 1.0, 0.5), "32-true", "computes wrong gradients on this device: gradient with 1 times the norm"),
        ((float("nan"), float("inf"), float("nan")), "32-true", "computes wrong gradients on this device"),
    ],
)
def test_bfloat16_is_chosen_if_it_is_sound_and_faster_and_one_line_says_why(
    choose, outcome, caplog, values, precision, reason
):
    outcome(*values)
    with caplog.at_level("INFO", "bedside.training"):
        assert choose(Scale()) == precision
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"precision auto: {precision}, for ")
    assert reason in line


@pytest.mark.parametrize(
    ("other", "precision"),
    [((1, 1, 0.5), "bf16-mixed"), ((1, 1, 0.95), "32-true"), ((0, 1, 0.5), "32-true")],
)
def test_several_processes_choose_bfloat16_if_it_is_worth_it_on_each(choose, outcome, monkeypatch, other, precision):
    outcome(1, 1, 0.5)
    fabric = TwoProcesses(PrecisionComparison(*other))
    fabric.device = torch.device("cpu")
    monkeypatch.setattr("bedside.training.loop.precision_choice._computes_bfloat16", lambda *_: True)
    assert choose(Scale(), fabric=fabric) == precision


def test_a_gpu_without_bfloat16_is_not_tried(choose, outcome, monkeypatch, caplog):
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation=True: including_emulation)
    fabric = make_fabric("cpu", "auto")
    monkeypatch.setattr(type(fabric), "device", torch.device("cuda"))
    monkeypatch.setattr(
        "bedside.training.loop.precision_choice.compare_precisions", lambda *_, **__: pytest.fail("tried")
    )
    with caplog.at_level("INFO", "bedside.training"):
        assert choose(Scale(), fabric=fabric) == "32-true"
    assert "for the device has no bfloat16" in caplog.text


def test_the_networks_own_gradients_are_compared(choose):
    assert choose(Scale(1e32)) == "32-true"


@pytest.mark.parametrize(("low", "precision"), [((30, 9, 30), "bf16-mixed"), ((30, 10, 30), "32-true")])
def test_the_fastest_of_three_passes_in_turn_counts(choose, monkeypatch, low, precision):
    full = (30, 30, 10)
    seconds = [each for pair in zip(full, low, strict=True) for each in (0, *pair[:1], 0, *pair[1:])]
    times = itertools.accumulate(seconds)
    monkeypatch.setattr("bedside.training.loop.precision_check.time.perf_counter", lambda: next(times))
    assert choose(Scale()) == precision
    assert next(times, None) is None


def test_weights_and_random_state_stay_as_they_were(choose):
    model = torch.nn.Sequential(Scale(), torch.nn.Dropout(0.5), torch.nn.BatchNorm3d(2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random_state = torch.get_rng_state()
    choose(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)


def test_the_trial_has_the_shape_and_the_classes_of_the_training(small_task):
    task = small_task.replaced(patch=(16, 24, 32))
    batch = example_batch(3, task, torch.device("cpu"))
    assert batch["image"].shape == batch["label"].shape == (3, 1, 32, 24, 16)
    assert sorted(batch["label"].unique().tolist()) == [0, 1]
