import re

import pytest
import typer

from bedside.cli.main import app, run

COMMANDS = typer.main.get_command(app).commands
DESIGNED = "demo phantom train-teacher distill export segment evaluate benchmark devices inspect".split()


def test_the_commands_are_those_of_the_design():
    assert list(COMMANDS) == DESIGNED


@pytest.mark.parametrize("name", DESIGNED)
def test_every_command_has_json_and_quiet_and_explained_options(name):
    options = {option: parameter for parameter in COMMANDS[name].params for option in parameter.opts}
    assert {"--json", "--quiet", "-q"} <= options.keys()
    assert [option for option, parameter in options.items() if not parameter.help] == []


def test_version_says_that_it_is_no_medical_device(capfd):
    assert run(["--version"]) == 0
    assert re.fullmatch(r"bedside \d+\.\d+\.\d+ \(research software; not a medical device\)\n", capfd.readouterr().out)


def test_a_mistyped_command_is_answered_with_the_one_that_was_meant(capfd):
    assert run(["segmnt"]) == 2
    assert "segment" in capfd.readouterr().err
