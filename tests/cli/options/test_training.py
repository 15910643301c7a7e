"""The two training commands: one list of options, and what becomes of them."""

import inspect
import json
from pathlib import Path

import pytest
import typer
from bedside.cli.main import app, run
from bedside.cli.options.command import typer_function
from bedside.cli.options.training import TrainingOptions
from bedside.runtime.task_presets import load_task
from bedside.teacher.autosam_config import AutoSamConfig
from bedside.training.loop.fit import FitResult
from bedside.training.recipe import Recipe
from bedside.training.runs.run import ModelConfig, Run, RunConfig

COMMANDS = typer.main.get_command(app).commands
SHARED = tuple(inspect.signature(typer_function(TrainingOptions)).parameters)


def options(command):
    return {parameter.name: parameter for parameter in COMMANDS[command].params}


def test_both_commands_have_every_shared_option_with_the_same_words():
    teacher, student = options("train-teacher"), options("distill")
    assert len(SHARED) > 20
    for name in SHARED:
        assert teacher[name].opts == student[name].opts
        assert teacher[name].help == student[name].help
        assert teacher[name].default == student[name].default


def test_help_tells_the_recipes_defaults(capsys):
    assert run(["train-teacher", "--help"]) == 0
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for line in (
        "--epochs <int> Number of epochs. [default: (200)]",
        "--lr <float> Base learning rate. [default: (0.0005)]",
    ):
        assert line in words


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Calls train-teacher with a trainer that only notes what it is asked for."""
    calls = []

    def train_teacher(dataset, task, out, **given):
        calls.append(given | {"task": task, "dataset": dataset})
        return FitResult(0.5, 1.25)

    monkeypatch.setattr("bedside.teacher.train.train_teacher", train_teacher)
    (tmp_path / "case.nii.gz").touch()
    entry = [{"image": "case.nii.gz", "label": "case.nii.gz"}]
    (tmp_path / "dataset.json").write_text(json.dumps({"training": entry}))

    def ask(*words):
        code = run(["train-teacher", str(tmp_path), "-o", str(tmp_path / "run"), *words])
        return code, (calls[-1] if calls else None)

    return ask


def test_options_reach_recipe_hardware_and_task(asked):
    recipe_words = "--epochs 7 --accumulate 4 --lr 0.1 --warmup 1 --pictures-every 3 --mirror-sides"
    device_words = "--device cpu --devices 2 --nodes 3 --strategy fsdp --workers 5 --checkpoint-activations"
    words = f"{recipe_words} {device_words} --patch 64 64 32 --cases shared --resume"
    code, given = asked(*words.split(" "))
    assert code == 0
    recipe, hardware = given["recipe"], given["hardware"]
    assert (recipe.epochs, recipe.accumulate, recipe.lr, recipe.warmup, recipe.pictures_every) == (7, 4, 0.1, 1, 3)
    assert recipe.augmentation.mirror_sides
    assert (hardware.device, hardware.devices, hardware.nodes) == ("cpu", 2, 3)
    assert (hardware.strategy, hardware.workers) == ("fsdp", 5)
    assert given["task"].patch == (64, 64, 32)
    assert given["config"].checkpoint_activations
    assert given["prepared_cases"] == Path("shared")
    assert given["resume"]


def test_what_is_not_given_is_the_papers_recipe_on_one_device(asked):
    recipe, hardware = asked()[1]["recipe"], asked()[1]["hardware"]
    assert (recipe.epochs, recipe.batch, recipe.lr, recipe.weight_decay) == (200, 1, 5e-4, 1e-5)
    assert recipe.crops_per_step == 1
    assert (hardware.devices, hardware.nodes, hardware.workers) == (None, None, None)


@pytest.mark.parametrize(("words", "epochs"), [("--resume", 7), ("--resume --epochs 9", 9), ("", 200)])
def test_a_run_resumed_without_a_number_of_epochs_has_as_many_as_it_was_to_have(asked, tmp_path, words, epochs):
    recipe = Recipe(epochs=7, warmup=1)
    model = ModelConfig(kind="teacher", name="autosam")
    config = RunConfig(model=model, task=load_task("btcv"), recipe=recipe, dataset="x", data_hash="0" * 64)
    Run.create(tmp_path / "run", config, resume=False).start()
    assert asked("--warmup", "1", *words.split())[1]["recipe"].epochs == epochs


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--strategy", "magic"], '--strategy: expected auto, ddp or fsdp, got "magic"'),
        (["--accumulate", "0"], "accumulate: expected 1 or more, got 0"),
        (["--precision", "bf16-true"], '--precision: expected 32-true or bf16-mixed, got "bf16-true"'),
        (["--epochs", "3"], "got 5; give a warmup of 0…2, or 6 epochs or more"),
        (["--positive", "50"], "positive: expected a share of 0…1, got 50"),
        (["--pictures-every", "-1"], "pictures_every: expected 0 (none) or more, got -1"),
        (["--device", "gpu"], '--device: expected auto, cpu or cuda, got "gpu"'),
        (["--device", "gpu", "--dry-run"], '--device: expected auto, cpu or cuda, got "gpu"'),
    ],
)
def test_values_that_cannot_be_are_refused_in_one_line(asked, capsys, words, message):
    assert asked(*words)[0] == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_the_first_process_tells_the_result(asked, capsys):
    assert asked("--json")[0] == 0
    assert json.loads(capsys.readouterr().out)["best_dice"] == 0.5


@pytest.mark.parametrize("variable", ["RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK"])
def test_processes_beside_the_first_one_say_nothing(asked, capsys, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    assert asked("--json")[0] == 0
    assert capsys.readouterr() == ("", "")


def test_a_dry_run_tells_the_cost_of_a_step_and_needs_neither_data_nor_a_run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["train-teacher", "--sam", "vit_nano", "--patch", "64", "64", "64", "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["parameters"] == 2_715_360
    assert told["trainable"] == 1_772_928
    assert list(tmp_path.iterdir()) == []


def test_the_ablations_of_the_paper_are_options(asked):
    assert asked()[1]["config"] == AutoSamConfig()
    assert asked("--no-apg")[1]["config"] == AutoSamConfig(apg=False)
    assert asked("--no-mlam", "--no-apg")[1]["config"] == AutoSamConfig(apg=False, mlam=False)


def test_a_dry_run_tells_the_cost_of_an_ablation(capsys):
    words = "train-teacher --sam vit_nano --patch 32 32 32 --no-apg --no-mlam --dry-run --json"
    assert run(words.split()) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["parameters"], told["trainable"]) == (1_244_512, 302_080)  # as in benchmarks/teacher
    assert "prompt generator" not in told["components"]


def test_an_ablation_that_leaves_nothing_to_learn_from_is_refused(capsys):
    assert run(["train-teacher", "--sam", "vit_nano", "--no-mlam", "--preset", "released_code", "--dry-run"]) == 2
    assert capsys.readouterr().err.endswith('would leave most of the encoder unused; take preset "paper"\n')


def test_without_a_dry_run_data_and_output_are_needed(capsys):
    assert run(["train-teacher", "--sam", "vit_nano"]) == 2
    assert "give a data set and --output; only --dry-run does without" in capsys.readouterr().err
