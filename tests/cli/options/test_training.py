"""The two training commands: one list of options, and what becomes of them."""

import inspect
import json
from pathlib import Path

import pytest
from bedside.cli.main import command_group, run
from bedside.cli.options.command import typer_function
from bedside.cli.options.training import TrainingOptions
from bedside.runtime.task_presets import load_task
from bedside.training.recipe import Recipe
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import ModelConfig, RunConfig

COMMANDS = command_group().commands
SHARED = tuple(inspect.signature(typer_function(TrainingOptions)).parameters)


def options(command):
    return {parameter.name: parameter for parameter in COMMANDS[command].load().params}


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


def test_options_reach_recipe_hardware_and_task(asked):
    recipe_words = "--epochs 7 --accumulate 4 --lr 0.1 --warmup 1 --pictures-every 3 --mirror 0.5"
    device_words = "--device cpu --devices 2 --nodes 3 --strategy fsdp --workers 5 --checkpoint-activations"
    words = f"{recipe_words} {device_words} --patch 64 64 32 --cases shared --resume"
    code, given = asked(*words.split(" "))
    assert code == 0
    recipe, hardware = given["recipe"], given["hardware"]
    assert (recipe.epochs, recipe.accumulate, recipe.lr, recipe.warmup, recipe.pictures_every) == (7, 4, 0.1, 1, 3)
    assert recipe.augmentation.mirror == 0.5
    assert (hardware.device, hardware.devices, hardware.nodes) == ("cpu", 2, 3)
    assert (hardware.strategy, hardware.workers) == ("fsdp", 5)
    assert given["task"].patch == (64, 64, 32)
    assert given["config"].checkpoint_activations
    assert given["prepared_cases"] == Path("shared")
    assert given["resume"]


@pytest.mark.parametrize(("words", "epochs"), [("--resume", 7), ("--resume --epochs 9", 9), ("", 200)])
def test_a_run_resumed_without_a_number_of_epochs_has_as_many_as_it_was_to_have(asked, tmp_path, words, epochs):
    recipe = Recipe(epochs=7, warmup=1)
    model = ModelConfig(kind="teacher", name="autosam")
    config = RunConfig(model=model, task=load_task("btcv"), recipe=recipe, dataset="x", data_hash="0" * 64)
    Run.create(tmp_path / "run", config, resume=False).start()
    assert asked("--warmup", "1", *words.split())[1]["recipe"].epochs == epochs


@pytest.mark.parametrize(("words", "warmup"), [("", 1), ("--epochs 9", 1), ("--epochs 9 --warmup 0", 0)])
def test_a_run_that_is_made_longer_keeps_the_warm_up_of_the_short_one(asked, tmp_path, words, warmup):
    model = ModelConfig(kind="teacher", name="autosam")
    recipe = Recipe(epochs=2, warmup=1)
    config = RunConfig(model=model, task=load_task("btcv"), recipe=recipe, dataset="x", data_hash="0" * 64)
    Run.create(tmp_path / "run", config, resume=False).start()
    assert asked("--resume", *words.split())[1]["recipe"].warmup == warmup


@pytest.mark.parametrize(("words", "offsets"), [("", True), ("--no-class-offsets", False)])
def test_a_resumed_run_keeps_its_class_offsets_unless_an_option_says_otherwise(asked, tmp_path, words, offsets):
    model = ModelConfig(kind="teacher", name="autosam")
    recipe = Recipe(class_offsets=True)
    config = RunConfig(model=model, task=load_task("btcv"), recipe=recipe, dataset="x", data_hash="0" * 64)
    Run.create(tmp_path / "run", config, resume=False).start()
    assert asked("--resume", *words.split())[1]["recipe"].class_offsets is offsets


def test_the_first_process_tells_the_result(asked, capsys):
    assert asked("--json")[0] == 0
    assert json.loads(capsys.readouterr().out)["best_dice"] == 0.5


@pytest.mark.parametrize("variable", ["RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK"])
def test_processes_beside_the_first_one_say_nothing(asked, capsys, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    assert asked("--json")[0] == 0
    assert capsys.readouterr() == ("", "")
