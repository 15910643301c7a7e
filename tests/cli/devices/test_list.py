"""`bedside devices list`: the known devices, and nothing of this machine."""

from __future__ import annotations

import json

import pytest
from bedside.cli.main import run
from bedside.devices import profiles


def test_the_known_devices_are_listed_alone(capsys) -> None:
    assert run(["devices", "list"]) == 0
    stdout = capsys.readouterr().out
    assert all(row.key in stdout for row in profiles())
    assert "This machine" not in stdout


@pytest.mark.parametrize("words", [["list", "--json"], ["--json", "list"]])
def test_the_json_has_the_profiles_alone_wherever_the_option_stands(words, capsys) -> None:
    assert run(["devices", *words]) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["profiles"]
