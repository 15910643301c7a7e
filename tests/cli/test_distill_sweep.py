"""`bedside distill --sweep-lambda`: what it refuses, what it hands to its trainings, and how it ends."""

import json
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Literal, Union, get_args, get_origin, get_type_hints

import pytest
import typer
from bedside.cli.distill import Distill
from bedside.cli.main import run
from bedside.cli.options.command import arguments_of, typer_function
from bedside.distill.sweep import sweep as sweep_module
from bedside.distill.sweep.results import LambdaRow, Spread, SweepResults
from bedside.runtime.task_presets import load_task
from bedside.training.recipe import Recipe
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import ModelConfig, RunConfig
from typer.testing import CliRunner

ROW = LambdaRow(1.0, {0: 0.5, 1: 0.7}, Spread(0.6, 0.1414), {"cube": Spread(0.6, 0.1414)})

PATCH = ("64", "32", "32")


@pytest.fixture
def data(tmp_path, cube_task):
    """A data set whose files are empty: nothing here reads them."""
    (tmp_path / "case.nii.gz").touch()
    entry = [{"image": "case.nii.gz", "label": "case.nii.gz"}]
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "cube": 1}, "training": entry}))
    (tmp_path / "cube.toml").write_text(cube_task)
    words = ["distill", str(tmp_path), "--task", str(tmp_path / "cube.toml"), "--student", "unet-nano"]
    return [*words, "--patch", *PATCH]


@pytest.fixture
def teacher(tmp_path, data):
    """Makes a run without weights, of the cube's task with other fields, and returns its path."""

    def made(kind="student", **changes):
        task = load_task(data[3]).replaced(patch=tuple(map(int, PATCH)), **changes)
        config = RunConfig(
            model=ModelConfig(kind=kind, name="unet-nano"), task=task, recipe=Recipe(), dataset="toy", data_hash=""
        )
        made = Run.create(tmp_path / "teacher", config, resume=False)
        made.start()
        return str(made.path)

    return made


@pytest.fixture
def swept(monkeypatch):
    """Notes what the function is called with, and returns results with the failed runs that are put into ``failed``."""
    calls, failed = [], {}

    def sweep_lambda(dataset, out, **given):
        given["started"]("lambda-1_seed-0", 1, 2)
        calls.append({**given, "dataset": dataset, "out": out})
        return SweepResults((ROW,), ("a", "b"), "test", failed)

    monkeypatch.setattr(sweep_module, "sweep_lambda", sweep_lambda)
    return calls, failed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sweep-lambda", "0.5,2"], "--sweep-lambda: expected numbers from 0 to 1"),
        (["--sweep-lambda", ""], "--sweep-lambda: expected numbers from 0 to 1"),
        (["--sweep-lambda", "1,1.0"], "--sweep-lambda: expected every λ once"),
        (["--sweep-lambda", "1", "--lambda", "0.5"], "leave one of them out"),
        (["--lambda", "1", "--seeds", "2"], "--seeds goes with --sweep-lambda"),
        (["--sweep-lambda", "0.5,1"], "λ below 1 needs a teacher"),
        (["--sweep-lambda", "1", "--student", "nope"], 'no student "nope"'),
        (["--sweep-lambda", "1", "--epochs", "0"], "epochs: expected 1 or more"),
        (["--sweep-lambda", "1"], "a sweep has nothing to score"),
    ],
)
def test_bad_values_are_refused_in_one_line(data, tmp_path, capsys, words, message):
    assert run([*data, "-o", str(tmp_path / "sweep"), *words]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize(
    ("words", "changes", "code", "message"),
    [
        (["--pseudo-labels"], {}, 2, "lists no scans without labels: give --unlabelled FOLDER"),
        (["--teacher-targets", "online"], {"spacing": (3.0, 3.0, 3.0)}, 2, '"teacher" in: spacing; --teacher-targets'),
        (["--teacher", "again"], {}, 2, 'teacher "teacher" is given twice; give it once'),
        ([], {"labels": ("background", "other")}, 2, '"teacher" in: labels; leave --task out, or give a teacher of'),
        ([], {"kind": "locator"}, 3, '"teacher" is a locator run, and a locator cannot teach'),
        (["--patch", "65", "32", "32"], {}, 2, 'student "unet-nano" needs a patch'),
    ],
)
def test_what_every_training_with_a_teacher_refuses_is_refused_before_any_trains(
    data, teacher, tmp_path, swept, capsys, words, changes, code, message
):
    given = ["--teacher", teacher(**changes), *words]
    given = [str(tmp_path / "teacher") if word == "again" else word for word in given]
    assert run([*data, "-o", str(tmp_path / "sweep"), "--sweep-lambda", "0.5,1", *given]) == code
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert swept[0] == []


def test_a_sweep_of_lambda_one_alone_needs_no_teacher_that_fits(data, teacher, tmp_path, swept):
    words = ["--sweep-lambda", "1", "--teacher", teacher(labels=("background", "other"))]
    assert run([*data, "-o", str(tmp_path / "sweep"), *words]) == 0


def test_other_options_are_passed_on_and_the_seeds_counted(data, tmp_path, swept, capsys):
    words = ["--sweep-lambda", "1", "--seeds", "2", "--seed", "7", "--jobs", "2", "--resume", "--lr", "0.001"]
    assert run([*data, "-o", str(tmp_path / "sweep"), *words, "--epochs", "9", "--device", "cpu"]) == 0
    (given,) = swept[0]
    assert given["lambdas"] == (1.0,)
    assert list(given["seeds"]) == [7, 8]
    assert (given["jobs"], given["resume"], given["epochs"], given["device"]) == (2, True, 9, "cpu")
    handed = given["arguments"]
    assert handed[0] == str(tmp_path)
    assert not {"--sweep-lambda", "--seeds", "--seed", "--jobs", "--resume", "--json"} & set(handed)
    for option, value in (("--lr", "0.001"), ("--epochs", "9"), ("--task", data[3]), ("--student", "unet-nano")):
        assert handed[handed.index(option) + 1] == value
    assert "--quiet" in handed  # the progress of two trainings would mix
    assert "| 0.6000 ± 0.1414 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "steps"),
    [([], "2"), (["--unlabelled-share", "0.75"], "4"), (["--steps-per-epoch", "9"], "9"), (["--batch", "2"], "1")],
)
def test_every_lambda_makes_the_steps_that_the_share_of_scans_without_labels_gives(
    data, teacher, tmp_path, swept, words, steps
):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "scan.nii.gz").touch()
    words = ["--unlabelled", str(tmp_path / "more"), "--sweep-lambda", "0.5,1", "--teacher", teacher(), *words]
    assert run([*data, "-o", str(tmp_path / "sweep"), *words]) == 0
    handed = swept[0][0]["arguments"]
    assert handed[handed.index("--steps-per-epoch") + 1] == steps


def test_without_such_scans_a_sweep_leaves_the_steps_to_its_trainings(data, teacher, tmp_path, swept):
    assert run([*data, "-o", str(tmp_path / "sweep"), "--sweep-lambda", "0.5,1", "--teacher", teacher()]) == 0
    assert "--steps-per-epoch" not in swept[0][0]["arguments"]


def test_json_has_the_figures(data, tmp_path, swept, capsys):
    assert run([*data, "-o", str(tmp_path / "sweep"), "--sweep-lambda", "1", "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["folder"] == str(tmp_path / "sweep")
    assert found["rows"][0]["seeds"] == {"0": 0.5, "1": 0.7}
    assert "training lambda-1_seed-0, 1 of 2" in captured.err
    assert "--quiet" not in swept[0][0]["arguments"]


def test_a_failed_run_gives_the_command_its_exit_code_after_the_table(data, tmp_path, swept, capsys):
    swept[1]["lambda-1_seed-1"] = 3
    assert run([*data, "-o", str(tmp_path / "sweep"), "--sweep-lambda", "1"]) == 3
    said = capsys.readouterr()
    assert "0.6000 ± 0.1414" in said.out
    assert '"lambda-1_seed-1" ended with exit code 3' in said.err.splitlines()[-1]


def test_a_cluster_is_passed_on_and_no_training_submits_jobs_of_its_own(data, tmp_path, swept):
    words = ["--sweep-lambda", "1", "--jobs", "3", "--cluster", "slurm", "--job-cpus", "4", "--job-gpus", "1"]
    assert run([*data, "-o", str(tmp_path / "sweep"), *words, "--partition", "gpu"]) == 0
    (given,) = swept[0]
    cluster = given["cluster"]
    assert (cluster.scheduler, cluster.jobs, cluster.threads, cluster.gpus) == ("slurm", 3, 4, 1)
    assert (cluster.partition, cluster.folder) == ("gpu", tmp_path / "sweep")
    assert not {"--cluster", "--job-cpus", "--job-gpus", "--partition"} & set(given["arguments"])


def test_a_single_training_is_no_work_for_jobs(data, tmp_path, capsys):
    assert run([*data, "-o", str(tmp_path / "run"), "--lambda", "1", "--cluster", "local"]) == 2
    assert "--cluster goes with --sweep-lambda" in capsys.readouterr().err
    assert run([*data, "-o", str(tmp_path / "run"), "--lambda", "1", "--job-cpus", "4"]) == 2
    assert "--job-cpus goes with --cluster" in capsys.readouterr().err


def options_of(group, path=()):
    """Yields (names of the groups and of the field, type, default) of every option that trainings of a sweep have."""
    types = get_type_hints(group)
    for field in fields(group):
        place = (*path, field.name)
        if is_dataclass(types[field.name]):
            if field.name not in ("sweep", "cluster", "console"):
                yield from options_of(types[field.name], place)
        else:
            yield place, types[field.name], field.default


EXAMPLES = {bool: [True, False], int: [32], float: [0.5], str: ["name"], Path: [Path("folder")]}


def other_values(kind, default):
    """Returns values of a type that are not the default: one, or both of a switch."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (UnionType, Union):
        return other_values(next(each for each in parts if each is not NoneType), default)
    if origin is Literal:
        return [each for each in parts if each != default][:1]
    if origin is list:
        return [EXAMPLES[parts[0]] * 2]
    if origin is tuple:
        return [tuple(EXAMPLES[each][0] for each in parts)]
    return [value for value in EXAMPLES[kind] if value != default]


@dataclass(frozen=True, kw_only=True)
class Kept(Distill):
    """A command that trains nothing and keeps what it was called with."""

    def __call__(self) -> None:
        KEPT.append(self)


KEPT: list[Kept] = []


def replaced(group, path, value):
    first, *others = path
    return replace(group, **{first: replaced(getattr(group, first), others, value) if others else value})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param(path, value, id=f"{path[-1]}={value}")
        for path, kind, default in options_of(Distill)
        for value in other_values(kind, default)
    ],
)
def test_every_option_reaches_the_trainings_as_the_words_that_give_it(path, value):
    app = typer.Typer()
    app.command()(typer_function(Kept))
    assert CliRunner().invoke(app, []).exit_code == 0
    given = replaced(KEPT.pop(), path, value)
    words = arguments_of(given)
    assert CliRunner().invoke(app, words).exit_code == 0, words
    assert KEPT.pop() == given
