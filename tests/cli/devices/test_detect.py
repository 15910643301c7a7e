"""`bedside devices detect`: this machine and its engines, and nothing of other devices."""

from __future__ import annotations

import json

from bedside.cli.devices.detect import Detect

from ..printed import run_alone


def test_this_machine_is_shown_alone() -> None:
    stdout, _ = run_alone(Detect)
    assert "This machine" in stdout
    assert "orin-nano-8" not in stdout


def test_the_json_has_host_and_the_devices_of_every_engine() -> None:
    content = json.loads(run_alone(Detect, "--json")[0])
    assert list(content) == ["host", "engines"]
    cpu = content["engines"]["onnxruntime"][0]
    assert (cpu["name"], cpu["precisions"]) == ("CPU", ["fp32", "fp16", "int8", "uint8", "int8-fp16"])
