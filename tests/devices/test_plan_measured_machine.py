"""Times of another machine, power mode or scan than the plan's: refused, or said."""

from __future__ import annotations

import msgspec
import pytest
from bedside.devices import plan
from bedside.runtime.errors import InputError

from .probe.probes import kernel, made_probe
from .test_plan_known_times import FP32, OPENED, WINDOW, WINDOWS, benchmark_file

BOARD = "NVIDIA Jetson Orin Nano Developer Kit"


def host(mode: str = "", profile: str | None = "orin-nano-8", cpu: str = "ARMv8", board: str = BOARD) -> dict:
    jetson = {"model": board, "power_mode": mode} if board else None
    return {"cpu": {"model": cpu}, "profile": profile, "jetson": jetson}


@pytest.mark.parametrize(("mode", "power", "planned"), [("7W", None, "15W"), ("15W", 7.0, "7W")])
def test_measurements_of_another_power_mode_are_refused(bundle_path, tmp_path, mode, power, planned):
    measured = benchmark_file(tmp_path / "b.json", host=host(mode))
    message = f"of power mode {mode}, the plan is for {planned}; choose the mode by --power, or measure in {planned}"
    with pytest.raises(InputError, match=message):
        plan([bundle_path], "orin-nano-8", power=power, measured=measured)


@pytest.mark.parametrize(("mode", "power", "watts"), [("7W", 7.0, 7), ("15W", None, 15), ("15w", 20.0, 15)])
def test_measurements_of_the_planned_power_mode_have_its_energy(bundle_path, tmp_path, mode, power, watts):
    measured = benchmark_file(tmp_path / "b.json", host=host(mode))
    report = plan([bundle_path], "orin-nano-8", power=power, measured=measured)
    (option,) = [each for each in report.options if each.tier == "measured"]
    assert option.joules.predicted == pytest.approx(watts * WINDOWS * 0.002)
    assert not any(line.startswith("measured: at the clock") for line in report.unproven)


def test_a_power_mode_that_the_profile_does_not_list_is_said_and_has_no_energy(bundle_path, tmp_path):
    measured = benchmark_file(tmp_path / "b.json", host=host("MAXN_SUPER"))
    report = plan([bundle_path], "orin-nano-8", measured=measured)
    assert {each.joules for each in report.options if each.tier == "measured"} == {None}
    assert 'measurements "b.json": in power mode MAXN_SUPER, which the profile does not list' in report.unproven


@pytest.mark.parametrize(("mode", "clock"), [("", None), ("15W", 600.0)])
def test_without_a_known_power_mode_and_clock_there_is_no_energy_and_that_is_said(bundle_path, tmp_path, mode, clock):
    measured = benchmark_file(tmp_path / "b.json", host=host(mode))
    report = plan([bundle_path], "orin-nano-8", measured=measured, clock_mhz=clock)
    joules = {each.tier: each.joules for each in report.options}
    assert joules["measured"] is None
    assert joules["data sheet"] is not None
    assert any(line.startswith("measured: at the clock and in the power mode of that time") for line in report.unproven)


def test_a_machine_that_the_profile_does_not_name_is_named_in_the_plan(bundle_path, tmp_path):
    given = host(profile=None, cpu="AMD EPYC 9754 128-Core", board="")
    report = plan([bundle_path], "mini-pc", measured=benchmark_file(tmp_path / "b.json", host=given, variants=[OPENED]))
    (said,) = [line for line in report.unproven if "EPYC" in line]
    assert said == (
        'measurements "b.json": of "AMD EPYC 9754 128-Core"; the profile names no machine, so nothing shows that it is '
        "this device"
    )


@pytest.mark.parametrize("device", ["mini-pc", "agx-orin-industrial", "orin-nano-4"])
def test_measurements_of_a_machine_with_another_profile_are_refused(bundle_path, tmp_path, device):
    measured = benchmark_file(tmp_path / "b.json", host=host(), variants=[FP32, OPENED])
    with pytest.raises(InputError, match=f'of orin-nano-8, the plan is for "{device}"'):
        plan([bundle_path], device, measured=measured)


def test_a_probe_is_checked_as_measurements_are(bundle_path):
    made = made_probe(kernel("output", 8, 14, 8, 2e-3), kernel("conv", 8, 8, 8, 1.0))
    assert any('probe: of "Some CPU"' in line for line in plan([bundle_path], "mini-pc", probe=made).unproven)
    detected = {"profile": "orin-nano-8", "board": BOARD, "power_mode": "7W"}
    orin = msgspec.structs.replace(made, host=msgspec.structs.replace(made.host, **detected))
    with pytest.raises(InputError, match='probe: of orin-nano-8, the plan is for "mini-pc"'):
        plan([bundle_path], "mini-pc", probe=orin)
    with pytest.raises(InputError, match="probe: of power mode 7W, the plan is for 15W"):
        plan([bundle_path], "orin-nano-8", probe=orin)


def test_all_but_the_network_is_shown_by_the_voxels_of_the_measured_scan(bundle_path, tmp_path):
    """2 s of a scan of 100 × 100 × 100 voxels, 0.5 s of them the network: 1.5 µs for each voxel."""
    whole = {"shape": [100, 100, 100], "stages": {"read": 1.0, "infer": 0.5}, "total_s": 2.0}
    measured = benchmark_file(tmp_path / "b.json", variants=[{**FP32, "end_to_end": whole}])
    report = plan([bundle_path], "orin-nano-8", measured=measured, shape=(200, 100, 100), seconds=2.5)
    (option,) = [each for each in report.options if each.tier == "measured"]
    assert option.other_seconds == pytest.approx(3.0)
    assert any("of all else, the limit is 2.5 s" in doubt for doubt in option.doubts)
    assert any(line.startswith("time: all but the network takes about 3 s more") for line in report.unproven)
    assert {each.other_seconds for each in report.options if each.tier == "data sheet"} == {None}
    assert not any("is counted as often" in line for line in report.unproven)
    larger = plan([bundle_path], "orin-nano-8", measured=measured, shape=(400, 300, 100))
    assert any(line.startswith("time: the planned scan has 12 times the voxels") for line in larger.unproven)


def test_several_measurements_of_one_device_are_taken_together_not_the_fastest(bundle_path, tmp_path):
    """As with two overlaps: the window is the same, and noise alone tells the times apart."""
    slow = {**FP32, "overlap": 0.5, "window": {name: 2 * ms for name, ms in WINDOW.items()}}
    measured = benchmark_file(tmp_path / "b.json", variants=[{**FP32, "overlap": 0.25}, slow])
    (option,) = [e for e in plan([bundle_path], "orin-nano-8", measured=measured).options if e.tier == "measured"]
    window = option.window_seconds
    assert (window.low, window.predicted, window.high) == pytest.approx((0.0015, 0.003, 0.008))


def test_default_memory_limits_are_the_devices_and_what_is_surely_usable_of_it(bundle_path):
    limits = plan([bundle_path], "orin-nano-8").limits
    assert (limits.memory, limits.usable_memory) == (8_000_000_000, 5_600_000_000)
