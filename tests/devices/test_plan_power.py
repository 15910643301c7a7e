"""A plan at a clock and in a power mode."""

from __future__ import annotations

import numpy as np
import pytest
from bedside.devices import plan
from bedside.devices.device_profile import FOLDER


def test_a_lower_clock_takes_longer_where_the_operations_count(tmp_path, toy):
    task = toy.task(patch=(32, 32, 32))
    weight = np.ones((3, 1, 9, 9, 9), np.float32)
    bundle = toy.write_bundle(
        tmp_path / "deep.bedside", task, toy.conv_model(weight, np.zeros(3, np.float32), task.patch.dhw)
    )
    full, half = (
        next(o for o in plan([bundle], "orin-nano-8", clock_mhz=clock).options if o.precision == "fp32")
        for clock in (625, 312.5)
    )
    assert half.seconds.predicted == pytest.approx(2 * full.seconds.predicted)


def test_a_power_limit_chooses_the_mode(bundle_path):
    report = plan([bundle_path], "orin-nano-8", power=20.0)
    assert (report.power_mode, report.watts) == ("15W", 15)
    report = plan([bundle_path], "orin-nano-8", power=10.0)
    assert (report.power_mode, report.watts) == ("7W", 7)
    assert report.options


def test_a_mode_without_a_limit_has_no_watts_and_is_not_chosen_by_a_limit(bundle_path):
    free = plan([bundle_path], "orin-nx-16")
    assert (free.power_mode, free.watts) == ("MAXN", None)
    assert {option.joules for option in free.options} == {None}
    limited = plan([bundle_path], "orin-nx-16", power=100.0)
    assert (limited.power_mode, limited.watts) == ("25W", 25)


def test_a_mode_whose_clock_is_unknown_needs_one(tmp_path, bundle_path):
    box = (FOLDER / "orin-nano-8.toml").read_text().replace('clock_mhz = { value = 408, source = "nvpmodel" }\n', "")
    (tmp_path / "box.toml").write_text(box)
    report = plan([bundle_path], tmp_path / "box.toml", power=10.0)
    assert report.options == ()
    assert "no clock of the GPU in mode 7W" in report.unplanned[0].reason
    assert plan([bundle_path], tmp_path / "box.toml", power=10.0, clock_mhz=300.0).options
