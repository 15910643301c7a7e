"""When the times of a machine are those of the planned device, power mode and clock."""

from __future__ import annotations

import pytest
from bedside.devices.hardware.device_profile import load_profile
from bedside.devices.planner.measured_machine import MeasuredMachine
from bedside.devices.planner.roofline import OperatingPoint

ORIN = load_profile("orin-nano-8")  # with the power modes 7W and 15W
AT_15 = OperatingPoint(ORIN.power_modes[1])


@pytest.mark.parametrize(
    ("mode", "point", "known"),
    [("15W", AT_15, True), ("", AT_15, False), ("15W", OperatingPoint(ORIN.power_modes[1], 600.0), False)],
)
def test_only_a_known_power_mode_without_a_clock_is_that_of_the_plan(mode, point, known):
    machine = MeasuredMachine("file", "ARMv8", "orin-nano-8", power_mode=mode)
    machine.check(ORIN, point)
    assert machine.is_at(ORIN, point) is known


def test_only_a_profile_that_names_no_machine_leaves_a_doubt():
    machine = MeasuredMachine("file", "Some CPU", None)
    assert 'of "Some CPU"; the profile names no machine' in machine.doubt(load_profile("mini-pc"))
    assert machine.doubt(ORIN) == ""
