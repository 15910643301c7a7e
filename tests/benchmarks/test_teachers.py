"""The logic of the scripts in benchmarks/teachers; the trainings themselves are repeated by hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import msgspec
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "teachers"
TASK = """
name = "cube"
modality = "CT"
labels = ["background", "cube"]
spacing = [4.0, 4.0, 4.0]
patch = [32, 32, 32]
[intensity]
clip = [-200.0, 300.0]
scale_to = [0.0, 1.0]
"""


@pytest.fixture
def script(import_script):
    return import_script(SCRIPTS, ("plan", "report", "step_cost"))


@pytest.fixture
def plan(script, tmp_path):
    (tmp_path / "task.toml").write_text(TASK)
    settings = {"patch": None, "batch": 1, "lr": 0.002, "positive": 0.7, "loss": "dice-ce", "steps_per_epoch": 20}
    settings |= {"threads": 1, "seconds": 60.0, "sam": "vit_nano", "enlarge": 2}
    return script("plan").Plan(data=str(tmp_path), **settings)


def test_each_row_is_a_network_of_its_own(script, plan):
    titles = {name: plan.config_of(row).title for name, row in script("plan").ROWS.items()}
    assert len(set(titles.values())) == len(titles) == 6
    assert titles["3d-sautomed, no history"] == "3d-sautomed with vit_nano without history, enlarged 2×"
    assert plan.config_of(script("plan").ROWS["self-prompt-sam"]).enlarge == 2
    assert plan.config_of(script("plan").ROWS["autosam"]).trains_encoder


def test_the_prompt_generator_trains_alone_in_the_first_fifth(script, plan):
    rows = script("plan").ROWS
    recipe = plan.recipe_of(rows["self-prompt-sam"], seed=1, steps=200)
    assert [recipe.trains_auxiliary_alone(epoch) for epoch in range(10)] == [True] * 2 + [False] * 8
    assert plan.recipe_of(rows["autosam"], seed=1, steps=200).auxiliary_alone == 0


def test_steps_follow_from_the_seconds_of_both_kinds_of_step(script, plan, monkeypatch):
    module = script("step_cost")
    seconds = {"autosam": 0.5, "self-prompt-sam": 2.0, "self-prompt-sam, prompt generator alone": 1.0}
    monkeypatch.setattr(module, "fastest_seconds", lambda steps: {name: seconds[name] for name in steps})
    monkeypatch.setattr(module, "_step", lambda plan, name, alone: None)
    assert module.steps_of_rows(plan, ["autosam", "self-prompt-sam"]) == {"autosam": 120, "self-prompt-sam": 33}


def test_a_step_of_a_network_with_deep_supervision_can_be_timed(script, plan):
    script("step_cost")._step(plan, "self-prompt-sam", alone=True)()


@pytest.fixture
def finished(script, plan, tmp_path):
    """Two seeds of AutoSAM, one of two others and of the ensemble; eight cases, the ensemble the best in each."""
    module = script("plan")
    (tmp_path / "plan.json").write_bytes(msgspec.json.encode(plan))
    (tmp_path / "steps.json").write_text(json.dumps(dict.fromkeys(module.ROWS, 60)))
    runs = {("autosam", 0): 0.7, ("autosam", 1): 0.5, ("3d-sautomed", 0): 0.4, ("3d-sautomed, no history", 0): 0.3}
    for (name, seed), dice in {**runs, ("ensemble", 0): 0.8}.items():
        folder = module.run_folder(tmp_path, name, seed)
        (folder / "run").mkdir(parents=True)
        (folder / "run" / "metrics.csv").write_text("epoch,dice\n0,\n1,0.25\n2,0.5\n")
        (folder / "scan_seconds.txt").write_text("1.5\n")
        rows = [f"{case},1,{dice + case / 100},{case or 'inf'}\n{case},,0,0" for case in range(8)]
        module.scores_file(tmp_path, name, seed).write_text("\n".join(["case,label,dice,hd95_mm", *rows, ""]))
    return tmp_path


def test_the_ensemble_is_compared_with_the_best_teacher_and_ablations_with_theirs(script, finished):
    script("report").write_report(finished)
    table = {line.split(" | ")[0].strip("| "): line.split(" | ") for line in _rows(finished / "tables.md")}
    assert table["autosam"][4] == "63.50 ± 14.14"
    assert table["ensemble"][4:7] == ["83.50", "4.00", "12.5%"]  # the first of eight organs was missed
    # autosam's other seed, 53.50 or 73.50, is no part of a comparison with rows that have one seed
    assert table["ensemble"][8:10] == ["+10.00", "0.0078"]
    assert table["3d-sautomed"][8] == "-30.00"
    assert table["3d-sautomed, no history"][8] == "-10.00"
    assert "against autosam; of the ablations: against 3d-sautomed" in (finished / "tables.md").read_text()


def test_the_report_has_a_csv_and_curves(script, finished):
    script("report").write_report(finished)
    with (finished / "results.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["row"], line["seed"]) for line in lines][:2] == [
        ("autosam", "0"),
        ("autosam", "1"),
    ]
    assert (finished / "curves.png").read_bytes().startswith(b"\x89PNG")


def _rows(file):
    return [line for line in file.read_text().splitlines() if line.startswith("| ") and "--" not in line]
