import os

import pytest
from bedside.cli.terminal.width import bound_columns


@pytest.mark.parametrize(
    ("given", "used"),
    [("0", "80"), ("20", "80"), ("-3", "80"), ("120", "120"), ("99999", "1000"), ("many", None), (None, None)],
)
def test_columns_are_those_of_a_terminal(monkeypatch, given, used):
    monkeypatch.setenv("COLUMNS", given or "")
    if given is None:
        monkeypatch.delenv("COLUMNS")
    bound_columns()
    assert os.environ.get("COLUMNS") == used
