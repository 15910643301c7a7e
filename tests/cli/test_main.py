import re
import subprocess
import sys

import pytest
from bedside.cli.main import command_group, run
from bedside.processes.signals import Terminated
from bedside.runtime import MissingExtraError

COMMANDS = command_group().commands
GROUPS = {
    "benchmark": ["compare"],
    "devices": ["list", "show", "detect", "probe", "report"],
    "dataset": ["check", "prepared", "seen"],
    "bundle": ["sign", "zip", "labels"],
}
DESIGNED = [
    "demo",
    "phantom",
    "train-teacher",
    "distill",
    "export",
    "segment",
    "evaluate",
    "node",
    "serve",
    "benchmark",
    "plan",
    "devices",
    "inspect",
    "dataset",
    "bundle",
]
LEAVES = (
    {name: command for name, command in COMMANDS.items() if not hasattr(command, "commands")}
    | {name: command.default for name, command in COMMANDS.items() if hasattr(command, "default")}
    | {f"{group} {name}": COMMANDS[group].commands[name] for group, names in GROUPS.items() for name in names}
)


def test_the_commands_are_those_of_the_design():
    assert list(COMMANDS) == DESIGNED
    assert {group: list(COMMANDS[group].commands) for group in GROUPS} == GROUPS


@pytest.mark.parametrize("name", LEAVES)
def test_the_list_of_commands_has_the_first_sentence_of_each_help_text(name):
    assert LEAVES[name].help == " ".join(LEAVES[name].load().help.split("\n\n")[0].split())


def test_only_the_command_that_is_called_is_imported():
    code = (
        "import sys; from bedside.cli.main import run; run(['devices', '--help']); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    commands = {"demo", "phantom", "train_teacher", "distill", "export", "segment", "evaluate", "benchmark", "inspect"}
    assert "bedside.cli.devices" in done.stderr.split()
    assert not {f"bedside.cli.{name}" for name in commands} & set(done.stderr.split())


def test_a_group_has_the_line_of_its_default_command_in_the_list_of_commands():
    defaults = [command for command in COMMANDS.values() if hasattr(command, "default")]
    assert [group.name for group in defaults] == ["benchmark", "devices"]
    assert all(group.help == group.default.help for group in defaults)


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_has_json_and_quiet_and_explained_options(name):
    options = {option: parameter for parameter in LEAVES[name].load().params for option in parameter.opts}
    assert {"--json", "--quiet", "-q"} <= options.keys()
    assert [option for option, parameter in options.items() if not parameter.help] == []


def test_version_says_that_it_is_no_medical_device(capfd):
    assert run(["--version"]) == 0
    assert re.fullmatch(r"bedside \d+\.\d+\.\d+ \(research software; not a medical device\)\n", capfd.readouterr().out)


def test_a_mistyped_command_is_answered_with_the_one_that_was_meant(capfd):
    assert run(["segmnt"]) == 2
    assert "segment" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "option", "follows"),
    [
        (["segment", "b", "-i", "ct.nii", "-o", "--overlap", "0.5"], "-o", "--overlap"),
        (["segment", "b", "-i", "ct.nii", "-o", "-q"], "-o", "-q"),
        (["plan", "b", "--students", "--device", "orin-nano-8"], "--students", "--device"),
        (["distill", "d", "--teacher", "--no-class-offsets"], "--teacher", "--no-class-offsets"),
        (["bundle", "zip", "b", "-o", "--help"], "-o", "--help"),
    ],
)
def test_an_option_is_not_taken_for_the_value_of_another(capfd, words, option, follows):
    assert run(words) == 2
    assert f"option {option} needs a value, and the option {follows} follows it" in capfd.readouterr().err


@pytest.mark.parametrize("words", [["--min-volume", "-1"], ["-o=--overlap"], ["--quiet", "--overlap", "0.5"]])
def test_a_value_that_only_looks_like_an_option_stays_one(capfd, words):
    run(["segment", "b", "-i", "ct.nii", *words])
    assert "needs a value" not in capfd.readouterr().err


def test_a_missing_extra_is_named_with_the_pip_command(capfd, monkeypatch, tmp_path):
    from bedside.cli.options import extras

    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "monai" else object())
    assert run(["train-teacher", str(tmp_path), "-o", str(tmp_path / "run")]) == 2
    assert capfd.readouterr().err == "bedside: error: monai is not installed; run: pip install 'bedside[train]'\n"


def test_all_missing_extras_are_named_at_once(monkeypatch):
    from bedside.cli.options import extras

    monkeypatch.setattr(extras, "find_spec", lambda name: None if name in ("torch", "monai", "onnx") else object())
    with pytest.raises(MissingExtraError, match=r"torch is not installed; run: pip install 'bedside\[train,export\]'"):
        extras.require("train", "export", "report")


@pytest.mark.parametrize(
    ("stop", "code", "word"), [(KeyboardInterrupt, 130, "interrupted"), (Terminated, 143, "terminated")]
)
def test_a_command_that_is_stopped_says_so_in_one_line(capfd, monkeypatch, stop, code, word):
    def stopped():
        raise stop

    monkeypatch.setattr("bedside.devices.detect", stopped)
    assert run(["devices"]) == code
    assert capfd.readouterr().err == f"bedside: error: {word}; nothing half-written\n"


def test_a_fault_of_our_own_is_one_line_too(capfd, monkeypatch):
    from bedside.cli import main

    def broken(app):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(main.typer.main, "get_command", broken)
    assert run(["devices"]) == 1
    assert capfd.readouterr().err.count("\n") == 1
