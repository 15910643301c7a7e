"""A call that the parser refuses: what was given stands in the line, and where to read on."""

from types import SimpleNamespace

import pytest
from bedside.cli.main import run
from bedside.cli.terminal.usage import usage_words


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("segment", "Missing argument 'bundle'. Try 'bedside segment --help'."),
        ("demo --cases 3", "greater than or equal to 6, got '3'. Try 'bedside demo --help'."),
        ("demo --cases=-3", "greater than or equal to 6, got '-3'. Try 'bedside demo --help'."),
        ("devices --jsn", "No such option: --jsn (Possible options: --json) Try 'bedside devices --help'."),
        ("dataset chek", "No such command 'chek'. Did you mean 'check'? Try 'bedside dataset --help'."),
        ("dataset", "see 'bedside dataset --help'"),
    ],
)
def test_the_line_says_what_was_given_and_where_to_read_on(capfd, words, expected):
    assert run(words.split()) == 2
    assert capfd.readouterr().err.endswith(f"{expected}\n")


def test_a_group_of_the_name_of_an_argument_is_not_taken_for_its_value():
    error = ValueError("Invalid value for 'dataset': not readable.")
    error.param = SimpleNamespace(opts=["dataset"])
    words = usage_words(error, ["dataset", "check", "data"])
    assert words == "Invalid value for 'dataset': not readable. Try 'bedside --help'."
