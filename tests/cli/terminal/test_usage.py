"""A call that the parser refuses: what was given stands in the line, and where to read on."""

import re
from types import SimpleNamespace

import pytest
from bedside.cli.main import run
from bedside.cli.terminal.usage import usage_message


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("segment", r"Missing argument .* Try 'bedside segment --help'\."),
        ("demo --cases 3", r"Invalid value .*\b3\b.* Try 'bedside demo --help'\."),
        ("demo --cases=-3", r"Invalid value .*-3\b.* Try 'bedside demo --help'\."),
        ("devices --jsn", r"No such option.*--jsn.* Try 'bedside devices --help'\."),
        (
            "train-teacher --name segresnet --sam vit_b",
            r"No such option.*--sam.* Try 'bedside train-teacher --name segresnet --help'\.",
        ),
        ("train-teacher --width 3", r"No such option.*--width.* Try 'bedside train-teacher --help'\."),
        (
            "distill --student=unet-edge-tiny --sam vit_b",
            r"No such option.*--sam.* Try 'bedside distill --student unet-edge-tiny --help'\.",
        ),
        ("benchmark compare one.json", r"Missing argument .* Try 'bedside benchmark compare --help'\."),
        ("devices report --otput r.zip", r"No such option.* Try 'bedside devices report --help'\."),
        ("dataset chek", r"No such command.*'check'\? Try 'bedside dataset --help'\."),
        ("distill data --spacing 5 5 -o run", r"Option '--spacing' takes 3 values, got 2 \('5 5'\)\. Try .*"),
        ("distill --patch 64 64 x data -o run", r"Invalid value for '--patch': .*, got '64 64 x'\. Try .*"),
        ("distill data --patch", r"Option '--patch' .* Try .*"),
        ("devices lst", r"No such command 'lst'\. Did you mean 'list'\? Try 'bedside devices --help'\."),
        ("devices --json show", r"Missing argument .* Try 'bedside devices show --help'\."),
        ("dataset", r"see 'bedside dataset --help'"),
    ],
)
def test_the_line_says_what_was_given_and_where_to_read_on(capfd, words, expected):
    assert run(words.split()) == 2
    assert re.fullmatch(f"bedside: error: {expected}\n", capfd.readouterr().err)


def test_a_group_of_the_name_of_an_argument_is_not_taken_for_its_value():
    error = ValueError("Invalid value for 'dataset': not readable.")
    error.param = SimpleNamespace(opts=["dataset"])
    words = usage_message(error, ["dataset", "check", "data"])
    assert words == "Invalid value for 'dataset': not readable. Try 'bedside --help'."
