"""`bedside devices show`: the figures of one device."""

from __future__ import annotations

import json

from bedside.cli.devices.show import Show

from ..printed import run_alone, widest


def test_show_gives_every_figure_with_its_source() -> None:
    stdout, _ = run_alone(Show, "orin-nano-8")
    assert widest(stdout) <= 80
    words = stdout.split()
    assert {"bandwidth_gb_s", "68", "DS-11105-001,", "jetpack-6.2", "10.16.2,"} <= set(words)
    content = json.loads(run_alone(Show, "orin-nano-8", "--json")[0])
    assert content["bandwidth_gb_s"] == {"value": 68.0, "source": "data sheet"}
    assert content["software"]["jetpack-6.2"]["versions"]["tensorrt"] == "10.3"
