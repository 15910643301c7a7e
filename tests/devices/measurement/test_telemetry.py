"""Recorded sensors are sampled, and those that are missing are named."""

from __future__ import annotations

import sys
import time
from threading import Event

import pytest
from bedside.devices import detect
from bedside.devices.measurement.telemetry import Sensor, Telemetry, TelemetrySample, TelemetrySampler
from bedside.devices.sensors.conditions import read_conditions
from bedside.devices.sensors.nvml import CardSample, Nvml

from ..sensors.test_throttling import write


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with clock, heat, RAPL and memory, and neither a Jetson nor a card."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    write(tmp_path, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", 3_000_000)
    write(tmp_path, "sys/class/thermal/thermal_zone0/type", "x86_pkg_temp")
    write(tmp_path, "sys/class/thermal/thermal_zone0/temp", 61_500)
    write(tmp_path, "sys/class/powercap/intel-rapl:0/name", "package-0")
    write(tmp_path, "sys/class/powercap/intel-rapl:0/energy_uj", 1_000_000)
    write(tmp_path, "proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable: 6000000 kB")
    write(tmp_path, "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", 1)
    return tmp_path


def test_recorded_sensors_are_sampled_along_a_run(machine):
    with TelemetrySampler(root=machine, interval=0.05) as sampler:
        time.sleep(0.12)
        write(machine, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", 1_500_000)
        write(machine, "sys/class/thermal/thermal_zone0/temp", 95_000)
        write(machine, "sys/class/powercap/intel-rapl:0/energy_uj", 3_000_000)
        write(machine, "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", 4)
    found = sampler.telemetry
    first, last = found.samples[0], found.samples[-1]
    assert (first.clock_mhz, first.celsius, first.memory_used) == (3000.0, 61.5, 2_000_000 * 1024)
    assert (last.clock_mhz, last.celsius) == (1500.0, 95.0)
    assert last.watts is not None
    assert last.watts > 10  # 2 J within a fraction of a second
    assert found.throttling == ("core throttled by heat: 3 times",)
    assert found.memory_peak == 2_000_000 * 1024


def test_a_sample_without_the_processors_energy_is_not_the_cards_power_alone(machine, monkeypatch):
    """Here the counter goes down, and its range is not readable."""
    monkeypatch.setattr(Nvml, "sample", lambda self: CardSample(200.0, None, None, None, ()))
    with TelemetrySampler(root=machine, interval=3600.0) as sampler:
        time.sleep(0.02)  # a shorter stretch has no power
        write(machine, "sys/class/powercap/intel-rapl:0/energy_uj", 5)
    assert sampler.telemetry.samples[-1].watts is None


def test_the_clock_is_the_mean_over_all_cores(machine):
    for core, mhz in enumerate((3800, 3800, 3800, 800)):
        write(machine, f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq", mhz * 1000)
    with TelemetrySampler(root=machine) as sampler:
        pass
    assert sampler.telemetry.samples[0].clock_mhz == 3050.0


def test_every_missing_sensor_is_named_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with TelemetrySampler(root=tmp_path) as sampler:
        pass
    sensors = {sensor.quantity: sensor.source for sensor in sampler.telemetry.sensors}
    assert set(sensors) == {"clock", "temperature", "power", "memory", "Jetson", "graphics card", "throttling"}
    assert all(source.startswith("not readable") for source in sensors.values())
    assert "RAPL" in sensors["power"]


def test_a_long_run_is_sampled_less_often(tmp_path):
    assert TelemetrySampler(600.0, tmp_path)._interval == 1.0
    assert TelemetrySampler(3600.0, tmp_path)._interval == 6.0


def test_a_reader_that_fails_is_no_silent_gap(machine, monkeypatch):
    def broken(root):
        raise RuntimeError("unreadable in a way that is not expected")

    monkeypatch.setattr("bedside.devices.measurement.telemetry.read_conditions", broken)
    with pytest.raises(RuntimeError, match="not expected"), TelemetrySampler(root=machine):
        pass


def test_a_reader_that_fails_later_is_no_silent_gap_either(machine, monkeypatch):
    readings, failed = [read_conditions(machine)], Event()

    def broken(root):
        if readings:
            return readings.pop()
        failed.set()
        raise RuntimeError("unreadable in a way that is not expected")

    monkeypatch.setattr("bedside.devices.measurement.telemetry.read_conditions", broken)
    with pytest.raises(RuntimeError, match="not expected"), TelemetrySampler(root=machine, interval=0.001):
        assert failed.wait(60)


def test_the_mean_over_a_stretch_leaves_out_what_is_missing():
    samples = tuple(
        TelemetrySample(float(second), clock, None, None, None, None, None)
        for second, clock in enumerate((1000.0, None, 2000.0, 4000.0))
    )
    telemetry = Telemetry(1.0, (Sensor("clock", "cpufreq"),), samples, ())
    assert telemetry.mean(lambda sample: sample.clock_mhz, 0, 2) == 1500.0
    assert telemetry.mean(lambda sample: sample.celsius, 0, 3) is None


def test_nothing_asks_for_root(machine, monkeypatch):
    log = machine / "called"
    for name in ("sudo", "su", "doas", "pkexec", "nvpmodel", "tegrastats"):
        (machine / name).write_text(f'#!/bin/sh\necho "${{0##*/}}" >> "{log}"\n')
        (machine / name).chmod(0o755)
    write(machine, "proc/device-tree/model", "NVIDIA Jetson Orin Nano")
    detect(machine)
    with TelemetrySampler(root=machine, interval=0.05):
        time.sleep(0.12)
    assert set(log.read_text().split()) == {"nvpmodel", "tegrastats"}
