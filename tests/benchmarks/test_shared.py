"""What several benchmarks share: plans, runs in processes, seconds of steps, scores."""

from __future__ import annotations

import time

import msgspec
import numpy as np
import pytest
import torch
from bedside.benchmarks.shared.plan import TrainingPlan, experiment_parser, given_plan, load_plan, save_plan
from bedside.benchmarks.shared.processes import Experiment
from bedside.benchmarks.shared.scores import case_means, paired_gains
from bedside.benchmarks.shared.step_seconds import fastest_seconds, training_step
from bedside.distill import DistillationLoss
from bedside.runtime.axes import DHW

PLAN = TrainingPlan(
    data="data", patch=None, loss="dice-ce", batch=2, lr=0.01, positive=0.7, steps_per_epoch=20, threads=1
)
PROGRAM = (
    "import pathlib, sys; out, name, seed = sys.argv[1:]; print(name); pathlib.Path(out, name).touch(); sys.exit({})"
)


class Letters(Experiment[tuple[str, int]]):
    """Runs that leave a file of their name; ``b`` needs ``a``."""

    def is_done(self, run):
        return (self.out / run[0]).exists()

    def needs(self, run):
        return [("a", 0)] if run[0] == "b" else []


@pytest.fixture
def letters(tmp_path):
    def make(code="0"):
        (tmp_path / "program.py").write_text(PROGRAM.format(code))
        return Letters(tmp_path / "out", tmp_path / "program.py")

    return make


def test_every_unfinished_run_runs_after_those_it_needs(letters, tmp_path):
    ended = []
    experiment = letters()
    runs = [("b", 0), ("a", 0)]
    assert experiment.run_all(runs, jobs=2, threads=1, ended=lambda: ended.append(None)) == []
    assert all(experiment.is_done(run) for run in runs)
    assert len(ended) == 2
    assert (tmp_path / "out" / "logs" / "a_0.log").read_text() == "a\n"
    assert experiment.run_all(runs, jobs=2, threads=1, ended=lambda: ended.append(None)) == []
    assert len(ended) == 2  # finished runs are skipped


def test_a_run_that_needs_a_failed_one_fails_with_it(letters):
    failed = letters("name == 'a'").run_all([("a", 0), ("b", 0), ("c", 0)], jobs=1, threads=1, ended=lambda: None)
    assert failed == [("a", 0), ("b", 0)]


def test_a_plan_given_in_arguments_is_kept_and_may_be_given_again(tmp_path):
    arguments = [str(tmp_path), "--data", str(tmp_path), "--patch", "8", "16", "24"]
    for _ in range(2):
        plan = given_plan(experiment_parser("An experiment.").parse_args(arguments), TrainingPlan)
        assert plan.patch == (8, 16, 24)
        assert load_plan(tmp_path, TrainingPlan) == plan


def test_a_folder_keeps_its_plan_but_for_the_threads(tmp_path):
    save_plan(PLAN, tmp_path)
    other = msgspec.structs.replace(PLAN, threads=4)
    save_plan(other, tmp_path)
    assert load_plan(tmp_path, TrainingPlan) == other
    with pytest.raises(SystemExit, match="other settings"):
        save_plan(msgspec.structs.replace(PLAN, batch=3), tmp_path)


def test_a_recipe_has_whole_epochs_at_least_two():
    assert PLAN.recipe(seed=3, steps=130).epochs == 6
    assert PLAN.recipe(seed=3, steps=5).epochs == 2


def test_steps_are_timed_in_turn_and_the_fastest_counts(monkeypatch):
    clock, calls = iter([0, 5, 9, 11, 11, 19, 19, 20, 20, 23]), []  # the first of each is not timed
    monkeypatch.setattr(time, "process_time", lambda: next(clock))
    steps = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    assert fastest_seconds(steps, rounds=2) == {"a": 1, "b": 3}  # a: 2, then 1; b: 8, then 3
    assert calls == ["a", "b"] * 3


def test_a_cases_dice_is_the_mean_over_the_organs_it_has(tmp_path):
    file = tmp_path / "scores.csv"
    file.write_text("case,label,dice\nb,1,0.4\na,1,0.5\na,2,0.9\nb,2,\na,,0.7\n")
    assert case_means(file).tolist() == pytest.approx([0.7, 0.4])


def test_a_row_is_compared_on_the_seeds_that_its_baseline_has_too():
    """A third seed of the baseline, which was worse, is no gain of a row that has not been trained with it yet."""
    patients = np.linspace(0.5, 0.7, 8)
    base = {0: patients, 1: patients, 2: patients - 0.3}
    gains = paired_gains(
        {"base": base, "row": {0: patients + 0.01, 1: patients + 0.03}, "fixed": {-1: patients}}, "base"
    )
    assert gains["row"][0] == pytest.approx(0.02)
    assert gains["row"][1] == pytest.approx(2 / 2**8)
    assert gains["fixed"][0] == pytest.approx(0.1)  # not trained for each seed: against the mean of all
    assert paired_gains({"row": base}, "base") == {}


@pytest.mark.parametrize("lam", [0.5, 1.0])
def test_a_timed_step_has_the_layout_of_training_and_leaves_no_gradients(lam):
    network = torch.nn.Conv3d(1, 3, 3, padding=1)
    calls = []
    network.weight.register_hook(calls.append)
    training_step(network, DistillationLoss(lam), 3, DHW(4, 4, 8), PLAN)()
    assert network.weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert len(calls) == 1
    assert network.weight.grad is None


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_timed_step_and_its_training_have_the_precision_of_the_plan(precision):
    plan = msgspec.structs.replace(PLAN, precision=precision)
    network, seen = torch.nn.Conv3d(1, 3, 3, padding=1), []
    network.register_forward_hook(lambda module, crops, logits: seen.append(logits.dtype))
    training_step(network, DistillationLoss(1.0), 3, DHW(4, 4, 8), plan)()
    assert seen == [torch.float32 if precision == "32-true" else torch.bfloat16]
    assert plan.recipe(seed=0, steps=1).precision == precision


def test_a_plan_of_before_the_precision_was_one_of_its_settings_trains_in_float32(tmp_path):
    settings = msgspec.to_builtins(PLAN)
    del settings["precision"]
    (tmp_path / "plan.json").write_bytes(msgspec.json.encode(settings))
    assert load_plan(tmp_path, TrainingPlan).precision == "32-true"
