from __future__ import annotations

from pathlib import Path

import pytest
from bedside.devices.hardware.jetson import Jetson, parse_l4t, parse_power_mode, read_jetson


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("NV Power Mode: MAXN\n0\n", "MAXN"),
        ("NV Power Mode: MODE_40W\n3\n", "40W"),
        ("NV Fan Mode:quiet\nNV Power Mode: MODE_15W_6CORE\n2\n", "15W_6CORE"),
        ("NVPM ERROR: permission denied", ""),
    ],
)
def test_the_power_mode_is_its_name_not_its_number(text: str, mode: str) -> None:
    assert parse_power_mode(text) == mode


def test_the_release_of_a_jetson_nano_is_read() -> None:
    assert parse_l4t("# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref, EABI: aarch64") == "32.7.1"


@pytest.mark.parametrize("text", ["", "# R36", "REVISION: 4.3"])
def test_a_release_that_is_not_readable_is_empty(text: str) -> None:
    assert parse_l4t(text) == ""


@pytest.mark.parametrize(
    ("model", "mode", "is_super"),
    [
        ("NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super", "", True),
        ("NVIDIA Jetson Orin NX", "MAXN_SUPER", True),
        ("NVIDIA Jetson Orin NX", "MAXN", False),
    ],
)
def test_raised_clocks_show_in_the_model_or_in_the_mode(model: str, mode: str, is_super: bool) -> None:
    assert Jetson(model, power_mode=mode).is_super is is_super


@pytest.mark.parametrize("model", ["", "Raspberry Pi 5 Model B Rev 1.0"])
def test_another_machine_is_no_jetson(tmp_path: Path, model: str) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_text(model)
    assert read_jetson(tmp_path) is None
