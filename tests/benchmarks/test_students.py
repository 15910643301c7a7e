"""The logic of the scripts in benchmarks/students; the measurements themselves are repeated by hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from bedside.distill import STUDENTS
from bedside.distill.students.measured import measured_students
from bedside.runtime import write_manifest
from bedside.runtime.bundles.variant import Variant

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "students"
TASK = """
name = "cube"
modality = "CT"
labels = ["background", "cube"]
spacing = [4.0, 4.0, 4.0]
patch = [40, 56, 40]
[intensity]
clip = [-200.0, 300.0]
scale_to = [0.0, 1.0]
"""
FULL, HALF = "unet-edge-fullres-small", "unet-edge-tiny"


@pytest.fixture
def script(import_script):
    return import_script(SCRIPTS, ("plan", "publish", "report", "step_cost", "students"))


@pytest.fixture
def plan(script, tmp_path):
    (tmp_path / "task.toml").write_text(TASK)
    settings = {"patch": None, "batch": 2, "lr": 0.002, "positive": 0.7, "loss": "dice-ce", "steps_per_epoch": 20}
    settings |= {"threads": 1, "seconds": 60.0}
    return script("plan").Plan(data=str(tmp_path), **settings)


def test_a_student_that_refuses_the_tasks_patch_has_the_next_larger_one(plan):
    assert plan.task_of(FULL).patch == (40, 56, 40)
    assert plan.task_of(HALF).patch == (48, 64, 48)


def test_a_run_is_done_when_both_precisions_are_scored(script, tmp_path):
    module = script("plan")
    folder = module.run_folder(tmp_path, FULL, 1)
    folder.mkdir(parents=True)
    module.scores_file(folder, "fp32").touch()
    assert not module.is_done(tmp_path, FULL, 1)
    module.scores_file(folder, "int8").touch()
    assert module.is_done(tmp_path, FULL, 1)


@pytest.fixture
def finished(script, plan, tmp_path):
    """An experiment of two students; one has two seeds. Dice: 0.8 and 0.6, 0.5; int8 has 0.1 less."""
    (tmp_path / "plan.json").write_bytes(msgspec.json.encode(plan))
    for name, seed, dice in ((FULL, 0, 0.8), (FULL, 1, 0.6), (HALF, 0, 0.5)):
        folder = script("plan").run_folder(tmp_path, name, seed)
        folder.mkdir(parents=True)
        for precision, loss in (("fp32", 0.0), ("int8", 0.1)):
            lines = f"case,label,dice\na,1,{dice - loss}\na,,{dice - loss}\n"
            script("plan").scores_file(folder, precision).write_text(lines)
    times = {name: {"openvino fp32": 90.0, "openvino int8": 45.0, "openvino bf16": 50.0} for name in (FULL, HALF)}
    (tmp_path / "latency.json").write_text(json.dumps(times))
    return tmp_path


def test_a_row_is_the_mean_over_the_seeds_and_its_cost_that_of_the_tasks_window(script, plan, finished):
    rows = {(each.student, each.precision): each for each in script("report").read_rows(finished)}
    assert set(rows) == {(name, precision) for name in (FULL, HALF) for precision in ("fp32", "int8")}
    full, half = rows[FULL, "fp32"], rows[HALF, "int8"]
    assert (full.dice, full.seeds, full.milliseconds) == (pytest.approx(0.7), 2, 90.0)
    assert full.spread == pytest.approx(0.1414, abs=1e-4)
    assert (half.dice, half.spread) == (pytest.approx(0.4), None)
    assert half.milliseconds == pytest.approx(45.0 * (40 * 56 * 40) / (48 * 64 * 48))
    assert full.parameters > half.parameters > 0
    cost = STUDENTS.find(HALF).cost(num_classes=plan.task.num_classes, patch=(48, 64, 48))
    assert half.gflop == pytest.approx(cost.flops / 1e9 * (40 * 56 * 40) / (48 * 64 * 48))


def test_a_student_of_another_seed_is_measured_beside_those_of_before(script, finished, monkeypatch):
    folder = script("plan").run_folder(finished, "unet-nano", 1)
    folder.mkdir(parents=True)
    for precision in ("fp32", "int8"):
        script("plan").scores_file(folder, precision).touch()
    asked = []
    monkeypatch.setattr(script("students").subprocess, "run", lambda command, **_: asked.append(command[2:]))
    script("students").measure_latencies(finished, ["unet-nano", "unet-edge-base"], [1], threads=1)
    assert asked == [[finished, FULL, HALF, "unet-nano", "--seeds", "0", "1"]]
    asked.clear()
    script("students").measure_latencies(finished, [FULL], [1], threads=1)
    assert asked == []


@pytest.fixture
def judged(script, finished, toy):
    """The experiment, whose fastest variant failed at the gate in one of two seeds; the other student has no gate."""
    for seed, passed in ((0, False), (1, True)):
        path = script("plan").run_folder(finished, FULL, seed) / "student.bedside"
        task = toy.task()
        toy.write_bundle(path, task)
        variants = [
            Variant(precision=precision, engine="openvino", file=f"model.{precision}.onnx", passed=verdict)
            for precision, verdict in (("fp32", True), ("int8", passed))
        ]
        write_manifest(path, toy.manifest(task, variants))
    times = json.loads((finished / "latency.json").read_text())
    times[FULL] |= {"openvino int8": 5.0, "torch fp32": 900.0}
    (finished / "latency.json").write_text(json.dumps(times))
    return finished


def test_a_variant_that_fails_at_the_gate_in_any_seed_is_not_on_the_front(script, judged):
    report = script("report")
    rows = {(each.student, each.engine, each.precision): each.gate for each in report.read_rows(judged)}
    assert rows[FULL, "openvino", "int8"] == "failed"
    assert rows[FULL, "openvino", "fp32"] == "passed"
    assert rows[FULL, "torch", "fp32"] == rows[HALF, "openvino", "int8"] == "–"
    front = [(each.student, each.precision) for each in report.front_of(report.read_rows(judged))]
    assert front == [(HALF, "int8"), (HALF, "fp32"), (FULL, "fp32")]


def test_a_variant_that_failed_is_not_published(script, judged):
    script("report").write_report(judged)
    publish = script("publish")
    assert set(publish.read_dice(judged / "results.csv")[FULL]) == {"fp32"}
    assert publish.read_milliseconds(judged / "results.csv")[FULL] == {"openvino": {"fp32": 90.0}}


def test_the_report_is_a_table_a_csv_and_a_picture(script, finished):
    script("report").write_report(finished)
    table = (finished / "tables.md").read_text()
    assert "| 90.0 | 70.00 ± 14.14 | 2 | – | yes |" in table
    with (finished / "results.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["milliseconds"]) for line in lines] == sorted(float(line["milliseconds"]) for line in lines)
    assert len(lines) == 4
    assert (finished / "pareto.png").read_bytes().startswith(b"\x89PNG")


def test_students_make_the_steps_that_equal_seconds_permit(script, plan, monkeypatch):
    module = script("step_cost")
    monkeypatch.setattr(module, "fastest_seconds", lambda steps: dict(zip(steps, (0.5, 2.0, 1000.0), strict=True)))
    monkeypatch.setattr(module, "_step", lambda plan, student: None)
    assert module.steps_of_students(plan, ["a", "b", "c"]) == {"a": 120, "b": 30, "c": 1}


def test_the_figures_of_a_comparison_are_published_and_replace_its_earlier_ones(script, finished, monkeypatch):
    script("report").write_report(finished)
    (finished / "dataset.json").write_text('{"training": [], "test": []}')
    monkeypatch.setattr(
        "bedside.training.data.dataset.load_dataset", lambda *given, **named: SimpleNamespace(test=[1, 2])
    )
    into = finished / "measured.toml"
    for _ in range(2):
        monkeypatch.setattr("sys.argv", ["publish.py", str(finished), "--processor", "EPYC", "--into", str(into)])
        script("publish").main()
    (comparison,) = measured_students(into)
    assert (comparison.data, comparison.seconds, comparison.test_cases) == ("cube", 60.0, 2)
    full = comparison.of(FULL, "fp32")
    assert (full.mean, full.seeds, full.spread) == (0.7, 2, 0.1414)
    assert comparison.of(HALF, "int8").mean == 0.4
    assert str(comparison.times) == "1 thread of EPYC"
    assert comparison.times.milliseconds[FULL] == {"openvino": {"fp32": 90.0, "int8": 45.0}}


def test_a_results_file_with_two_dice_of_one_precision_is_refused(script, tmp_path):
    lines = "student,engine,precision,dice,spread,seeds,gate\na,openvino,fp32,0.7,,1,–\na,onnxruntime,fp32,0.6,,1,–\n"
    (tmp_path / "results.csv").write_text(lines)
    with pytest.raises(SystemExit, match="a fp32 has two Dice"):
        script("publish").read_dice(tmp_path / "results.csv")


def test_torch_is_no_engine_of_a_bundle_and_is_not_published(script, tmp_path):
    lines = "student,engine,precision,milliseconds,gate\na,torch,fp32,40.0,–\na,openvino,fp32,10.126,passed\n"
    (tmp_path / "results.csv").write_text(lines)
    assert script("publish").read_milliseconds(tmp_path / "results.csv") == {"a": {"openvino": {"fp32": 10.13}}}
