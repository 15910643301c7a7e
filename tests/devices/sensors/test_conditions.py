from __future__ import annotations

from pathlib import Path

import pytest
from bedside.devices.sensors.conditions import busy_warning, governor_warning, read_conditions


def write(root: Path, name: str, content: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(content)


def test_load_temperatures_and_clocks_are_read(tmp_path: Path) -> None:
    write(tmp_path, "proc/loadavg", "1.25 0.29 0.17 3/102 6176\n")
    write(tmp_path, "sys/class/thermal/thermal_zone0/type", "x86_pkg_temp\n")
    write(tmp_path, "sys/class/thermal/thermal_zone0/temp", "61500\n")
    write(tmp_path, "sys/class/thermal/thermal_zone1/type", "acpitz\n")
    write(tmp_path, "sys/class/thermal/thermal_zone1/temp", "-274000\n")  # no sensor behind it
    write(tmp_path, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1800000\n")
    write(tmp_path, "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "3400000\n")
    conditions = read_conditions(tmp_path)
    assert conditions.load_average == 1.25
    assert [(zone.sensor, zone.celsius) for zone in conditions.temperatures] == [("x86_pkg_temp", 61.5)]
    assert conditions.hottest == 61.5
    assert conditions.frequency_mhz == (1800, 3400)


def test_without_cpufreq_the_clock_comes_from_cpuinfo(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", "processor : 0\ncpu MHz\t\t: 2596.144\n\nprocessor : 1\ncpu MHz\t\t: 2601.000\n")
    assert read_conditions(tmp_path).frequency_mhz == (2596.144, 2601.0)


def test_what_is_not_readable_is_left_out(tmp_path: Path) -> None:
    conditions = read_conditions(tmp_path)
    assert (conditions.temperatures, conditions.frequency_mhz, conditions.hottest) == ((), None, None)


def test_a_machine_with_room_for_all_threads_is_quiet() -> None:
    assert busy_warning(2.0, logical_cores=8, threads=4) is None
    assert busy_warning(0.4, logical_cores=2, threads=2) is None


def test_a_machine_with_other_work_on_the_wanted_cores_is_busy() -> None:
    warning = busy_warning(5.0, logical_cores=8, threads=4)
    assert warning is not None
    assert "load average 5.00 on 8 cores" in warning


def test_no_load_average_gives_no_warning() -> None:
    assert busy_warning(None, logical_cores=2, threads=2) is None


def cpufreq(root, **files):
    folder = root / "sys/devices/system/cpu/cpu0/cpufreq"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")


@pytest.mark.parametrize(
    ("governor", "driver", "preference", "warned"),
    [
        ("powersave", "acpi-cpufreq", "", True),
        ("conservative", "cpufreq-dt", "", True),
        ("performance", "acpi-cpufreq", "", False),
        ("schedutil", "cpufreq-dt", "", False),
        ("powersave", "intel_pstate", "balance_performance", False),  # the ordinary state of an Intel desktop
        ("powersave", "intel_pstate", "power", True),
        ("powersave", "amd-pstate-epp", "balance_power", True),
    ],
)
def test_a_governor_that_saves_power_is_a_warning(tmp_path, governor, driver, preference, warned):
    cpufreq(tmp_path, scaling_governor=governor, scaling_driver=driver, energy_performance_preference=preference)
    warning = governor_warning(tmp_path)
    assert (warning is not None and governor in warning) == warned


def test_without_a_governor_there_is_no_warning(tmp_path):
    assert governor_warning(tmp_path) is None
