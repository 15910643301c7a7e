"""`bedside devices`: this machine and the known devices, and the words that are no command of the group."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from bedside.cli.devices.overview import Devices
from bedside.cli.main import run
from bedside.devices import profiles

from ..printed import run_alone


def test_this_machine_and_every_profile_are_shown_in_80_columns() -> None:
    stdout, _ = run_alone(Devices)
    assert all(row.key in stdout for row in profiles())
    assert "This machine" in stdout
    assert max(len(line) for line in stdout.splitlines()) <= 80


def test_the_json_is_one_object_with_host_engines_and_profiles() -> None:
    stdout, _ = run_alone(Devices, "--json")
    content = json.loads(stdout)
    assert list(content) == ["host", "engines", "profiles"]
    assert content["host"]["cpu"]["logical_cores"] >= 1
    assert [row["key"] for row in content["profiles"]] == [row.key for row in profiles()]


def test_importing_devices_brings_neither_numpy_nor_torch_nor_an_engine() -> None:
    code = (
        "import sys, bedside.devices, bedside.cli.benchmark, bedside.cli.devices.overview; bedside.devices.detect();"
        "print(sorted({'numpy', 'torch', 'onnxruntime', 'openvino', 'nibabel', 'rich.table'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_lists_the_commands_and_its_own_options(capfd) -> None:
    assert run(["devices", "--help"]) == 0
    text = capfd.readouterr().out
    assert all(f" {name} " in text for name in ("list", "show", "detect", "probe", "report"))
    assert all(word in text for word in ("--json", "--quiet", "| COMMAND", "Example: bedside"))


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["show", "orin"], 2, "did you mean"),
        (["show"], 2, "Missing argument"),
        (["list", "orin-nano-8"], 2, "orin-nano-8"),
        (["lists"], 2, "'list'"),
        (["show", "none.toml"], 3, "cannot be read"),
        (["probe"], 2, "--output"),
        (["list", "-o", "x.json"], 2, "No such option: -o"),
        (["--seconds", "3", "list"], 2, "No such option: --seconds"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_line(words, code, message, capsys) -> None:
    assert run(["devices", *words]) == code
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
