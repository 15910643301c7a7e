"""The logic of the scripts in benchmarks/distillation; the trainings themselves are repeated by hand."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
import torch
from bedside.distill import build_student
from bedside.distill.loss import DistillationLoss
from bedside.distill.teacher import Teacher
from bedside.runtime.errors import UsageError
from bedside.training.recipe import Recipe

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "distillation"
MODULES = ("plan", "distillation", "report", "step_cost", "train_run", "curves", "feature_hint")
CASES = 10


@pytest.fixture
def script(import_script):
    return import_script(SCRIPTS, MODULES)


@pytest.fixture
def plan(script, cube_task, tmp_path):
    (tmp_path / "task.toml").write_text(cube_task)
    cases = [{"image": f"{number}.nii.gz", "label": f"{number}_l.nii.gz"} for number in range(CASES)]
    listed = {"name": "cubes", "training": cases, "validation": [], "test": [], "unlabeled": ["other.nii.gz"]}
    (tmp_path / "dataset.json").write_text(json.dumps(listed))
    settings = {"patch": None, "batch": 1, "lr": 0.002, "positive": 0.7, "loss": "dice-ce", "steps_per_epoch": 10}
    settings |= {"threads": 1, "seconds": 60.0, "student": "unet-edge-tiny", "teacher": "unet-edge-tiny"}
    return script("plan").Plan(data=str(tmp_path), teacher_seconds=120.0, imitation="mse", **settings)


def test_few_labelled_cases_are_part_of_many_and_the_others_stay_as_scans(script, plan, tmp_path):
    few, many = (json.loads(script("plan").write_list(plan, tmp_path, n).read_text()) for n in (3, 6))
    assert few["training"] == many["training"][:3]
    assert len(few["unlabeled"]) == 1 + CASES - 3
    assert not {entry["image"] for entry in few["training"]} & set(few["unlabeled"])


def test_teachers_of_other_labels_see_no_scan_of_the_student(script, plan, tmp_path):
    plan = msgspec.structs.replace(plan, teacher_labels="other")
    student, teacher = (
        json.loads(script("plan").write_list(plan, tmp_path, 3, for_teacher=who).read_text()) for who in (False, True)
    )
    assert (len(student["training"]), len(teacher["training"])) == (3, CASES - 3)
    assert student["unlabeled"] == [str(tmp_path / "other.nii.gz")]
    seen = {entry["image"] for entry in teacher["training"]}
    assert seen.isdisjoint({entry["image"] for entry in student["training"]} | set(student["unlabeled"]))


def test_teachers_of_all_labels_leave_the_student_the_scans_that_nobody_labelled(script, plan, tmp_path):
    plan = msgspec.structs.replace(plan, teacher_labels="all")
    student, teacher = (
        json.loads(script("plan").write_list(plan, tmp_path, 3, for_teacher=who).read_text()) for who in (False, True)
    )
    assert (len(student["training"]), len(teacher["training"])) == (3, CASES)
    assert student["unlabeled"] == [str(tmp_path / "other.nii.gz")]


def test_trained_runs_teach_in_place_of_teachers_of_the_experiment(script, plan, tmp_path):
    trained = tuple(str(tmp_path / f"trained_{number}") for number in range(3))
    module = script("train_run")
    for seed in range(3):
        folder = module.run_folder(tmp_path, "teacher", 3, seed)
        folder.mkdir(parents=True)
        for _ in range(2):  # as when the command is given again
            module.train(msgspec.structs.replace(plan, teacher_runs=trained), tmp_path, "teacher", 3, seed)
    teachers = module.teachers_runs(tmp_path, "ensemble-pseudo-labels", 3)
    assert [str(each.readlink()) for each in teachers] == list(trained)


@pytest.mark.parametrize("arms", [["pseudo-labels"], ["ensemble-pseudo-labels", "labels"]])
def test_a_number_of_trained_runs_that_the_arms_do_not_need_is_refused(
    script, plan, tmp_path, monkeypatch, capsys, arms
):
    words = ["out", "--data", plan.data, "--labelled", "3", "--teacher-run", "one", "--teacher-run", "two"]
    monkeypatch.setattr(sys, "argv", ["distillation.py", *words, "--arms", *arms])
    with pytest.raises(SystemExit):
        script("distillation").parse()
    assert "teachers; --teacher-run gives 2" in capsys.readouterr().err


def test_a_patch_that_the_student_does_not_accept_is_refused(script, plan):
    with pytest.raises(UsageError, match=r"unet-edge-tiny.* needs a patch"):
        script("step_cost").steps_of_arms(msgspec.structs.replace(plan, patch=(40, 56, 40)))


def test_arms_make_the_steps_that_equal_seconds_permit(script, plan, monkeypatch):
    module = script("step_cost")
    seconds = {
        "teacher": 2.0,
        "answer": 1.0,
        "labels": 0.5,
        "mse": 0.6,
        "dice-ce": 1.0,
        "mse, all labelled": 0.55,
        "dice-ce, all labelled": 0.8,
    }
    monkeypatch.setattr(module, "fastest_seconds", lambda steps: {name: seconds[name] for name in steps})
    steps = module.steps_of_arms(msgspec.structs.replace(plan, patch=(32, 32, 32)))
    assert (steps["teacher"], steps["labels"], steps["labels-longer"]) == (60, 120, 240)
    assert steps["ensemble-unlabelled"] == steps["mse"] == 100  # the plan's loss is mse
    assert steps["dice-ce"] == 60
    assert steps["ensemble-pseudo-labels"] == steps["labels"]
    assert steps["pseudo-labels-and-imitation"] == steps["ensemble"] == 109
    assert steps["dice-ce-labelled"] == 75
    assert steps["dice-ce-labelled-online"] == round(60 / (0.8 + 1.0))  # the teacher segments every crop


def write_run(out, name, seed, dice, epochs):
    folder = out / "runs" / f"{name}_3_{seed}"
    (folder / "run").mkdir(parents=True)
    lines = [line for case, value in enumerate(dice) for line in (f"c{case},1,{value}", f"c{case},,{value}")]
    (folder / "scores.csv").write_text("\n".join(["case,label,dice", *lines]))
    rows = [f"{epoch},0.1,{value}" for epoch, value in epochs.items()]
    (folder / "run" / "metrics.csv").write_text("\n".join(["epoch,loss,dice", "0,0.2,", *rows]))


@pytest.fixture
def finished(script, plan, tmp_path):
    """Two arms over seven cases: the taught one gains .01 … .07; two others gain nothing in most of them."""
    (tmp_path / "plan.json").write_bytes(msgspec.json.encode(plan))
    (tmp_path / "steps.json").write_text(json.dumps({"labels": 120, "ensemble-unlabelled": 60}))
    alone = [0.5] * 7
    for seed in (0, 1):
        write_run(tmp_path, "labels", seed, [value + 0.1 * seed for value in alone], {1: 0.2 + 0.2 * seed, 5: 0.6})
        taught = [value + 0.1 * seed + 0.01 * (case + 1) for case, value in enumerate(alone)]
        write_run(tmp_path, "ensemble-unlabelled", seed, taught, {5: 0.7})
    write_run(tmp_path, "teacher", 0, [0.55] * 6 + [0.6], {})
    begun = tmp_path / "runs" / "ensemble-unlabelled_3_2" / "run"
    begun.mkdir(parents=True)
    (begun / "metrics.csv").write_text("epoch,loss\n0,0.3\n")  # it has not validated yet
    return tmp_path


def test_a_gain_is_paired_over_the_patients_and_corrected_for_the_number_of_arms(script, finished):
    script("report").write_report(finished)
    table = (finished / "tables.md").read_text()
    assert "| labels | 2 | 55.00 ± 7.07 | – | – | – |" in table
    # Seven gains of one sign: p = 2/2⁷ = .0156, twice that for two comparisons.
    assert "| ensemble-unlabelled | 2 | 59.00 ± 7.07 | +4.00 | 0.016 | 0.031 |" in table
    with (finished / "results.csv").open(newline="") as file:
        lines = {(line["arm"], line["seed"]): line["dice"] for line in csv.DictReader(file)}
    assert lines["ensemble-unlabelled", "0"] == "0.5400"
    assert (finished / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_curve_is_the_mean_over_the_seeds_at_seconds_of_training(script, finished):
    curves = script("curves").read_curves(finished)[3]
    assert list(curves) == ["labels", "ensemble-unlabelled"]
    # Steps of half a second, ten in an epoch; the epochs count from 0.
    assert curves["labels"].seconds.tolist() == [10.0, 30.0]
    assert curves["labels"].dice.tolist() == pytest.approx([0.3, 0.6])
    assert curves["ensemble-unlabelled"].seconds.tolist() == [60.0]


def test_similarities_of_features_know_no_channels_only_positions(script):
    similarities = script("feature_hint").similarities
    features = torch.randn(2, 6, 2, 3, 2, generator=torch.Generator().manual_seed(0))
    mixed, _ = torch.linalg.qr(torch.randn(8, 6, generator=torch.Generator().manual_seed(1)))
    turned = torch.einsum("oc,bcdhw->bodhw", mixed, features)  # eight channels that say what the six say
    finer = turned.repeat_interleave(2, 2).repeat_interleave(2, 3).repeat_interleave(2, 4)
    found = similarities(features, features.shape[2:])
    assert torch.allclose(found, similarities(3 * finer, features.shape[2:]), atol=1e-5)
    for one, other in ((0, 5), (7, 7)):
        a, b = (features.flatten(2)[1, :, position] for position in (one, other))
        assert found[1, one, other].item() == pytest.approx(torch.cosine_similarity(a, b, dim=0).item(), abs=1e-5)


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_a_hint_adds_the_difference_of_the_features_to_the_teachers_term(script, task, weight):
    module = script("feature_hint")
    torch.manual_seed(0)
    teacher = build_student("unet-edge-tiny", num_classes=3).eval()
    method = module._HintedStudent("unet-edge-tiny", Teacher(teacher, task, "teacher", "0"), weight)
    student = method.build(task)
    prepared = SimpleNamespace(run=SimpleNamespace(config=SimpleNamespace(recipe=Recipe())))
    batch = {"image": torch.rand(2, 1, 32, 32, 32), "label": torch.zeros(2, 1, 32, 32, 32, dtype=torch.uint8)}
    logits = student(batch["image"])
    terms = method.objective(prepared, None)(logits, batch)
    probabilities = teacher(batch["image"]).softmax(1).detach()
    plain = DistillationLoss(0.5, imitation="dice-ce").terms(logits, probabilities, batch["label"])
    seen = [module.similarities(each.values, each.values.shape[2:]) for each in method.seen]
    hint = weight * (seen[0] - seen[1]).square().mean().item()
    assert (terms["teacher"] - plain["teacher"]).item() == pytest.approx(hint, abs=1e-5)
    assert (hint > 0.01) == (weight > 0)
