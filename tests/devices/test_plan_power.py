"""A plan at a clock and in a power mode."""

from __future__ import annotations

import numpy as np
import pytest
from bedside.devices import plan
from bedside.devices.hardware.device_profile import FOLDER


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


@pytest.mark.parametrize(("clock", "watts", "said"), [(408.0, 7.0, 0), (409.0, None, 1)])
def test_a_clock_above_that_of_the_power_mode_is_said_and_has_no_energy(bundle_path, clock, watts, said):
    report = plan([bundle_path], "orin-nano-8", power=7.0, clock_mhz=clock)
    assert (report.power_mode, report.clock_mhz, report.watts) == ("7W", clock, watts)
    assert {option.joules is None for option in report.options} == {watts is None}
    doubt = "clock: 409 MHz is above the 408 MHz of mode 7W: the device may take more than the watts of this mode"
    assert sum(line.startswith(doubt) for line in report.unproven) == said


def test_of_two_processors_only_that_which_reaches_the_clock_is_planned(tmp_path, bundle_path):
    slower = """
[[processors]]
name = "CPU"
engines = ["onnxruntime"]
clock_mhz = { value = 600, source = "data sheet" }

[processors.peak_tops]
fp32 = { value = 1, source = "data sheet" }
"""
    (tmp_path / "box.toml").write_text((FOLDER / "orin-nano-8.toml").read_text() + slower)
    report = plan([bundle_path], tmp_path / "box.toml", clock_mhz=625.0)
    assert {option.processor for option in report.options} == {"GPU"}
    assert "the CPU reaches 600 MHz by the profile, not 625 MHz" in {each.reason for each in report.unplanned}
