from __future__ import annotations

from pathlib import Path

import pytest
from bedside.devices.energy import Energy, EnergyMeter, RaplCounters


def write_zone(root: Path, zone: str, name: str, microjoules: int | None) -> Path:
    folder = root / "sys/class/powercap" / zone
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "max_energy_range_uj").write_text("1000000000\n")
    if microjoules is not None:
        (folder / "energy_uj").write_text(f"{microjoules}\n")
    return folder / "energy_uj"


def test_two_packages_add_up_and_their_parts_do_not_count_twice(tmp_path: Path) -> None:
    first = write_zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    second = write_zone(tmp_path, "intel-rapl:1", "package-1", 5_000_000)
    core = write_zone(tmp_path, "intel-rapl:0:0", "core", 0)
    psys = write_zone(tmp_path, "intel-rapl:2", "psys", 0)
    counters = RaplCounters(tmp_path)
    for path, microjoules in ((first, 3_000_000), (second, 5_500_000), (core, 900_000), (psys, 9_000_000)):
        path.write_text(str(microjoules))
    assert counters.joules() == pytest.approx(2.0 + 0.5)


def test_a_counter_that_wrapped_around_goes_on(tmp_path: Path) -> None:
    counter = write_zone(tmp_path, "intel-rapl:0", "package-0", 999_000_000)
    counters = RaplCounters(tmp_path)
    counter.write_text("2000000")
    assert counters.joules() == pytest.approx(3.0)  # 1 J to the end of the range, 2 J after


def test_a_machine_without_counters_says_so(tmp_path: Path) -> None:
    with EnergyMeter(tmp_path) as meter:
        pass
    assert (meter.reading.joules, meter.reading.watts) == (None, None)
    assert meter.reading.source == "not readable: this machine shows no RAPL package"


def test_counters_kept_for_root_say_so(tmp_path: Path) -> None:
    write_zone(tmp_path, "intel-rapl:0", "package-0", None)
    counters = RaplCounters(tmp_path)
    assert counters.joules() is None
    assert "for root" in counters.reason


def test_the_meter_reports_rapl_joules(tmp_path: Path) -> None:
    counter = write_zone(tmp_path, "intel-rapl:0", "package-0", 0)
    with EnergyMeter(tmp_path) as meter:
        counter.write_text("12500000")
    assert (meter.reading.joules, meter.reading.source) == (pytest.approx(12.5), "RAPL")


def test_power_is_energy_over_time() -> None:
    assert Energy(joules=30.0, seconds=2.0, source="RAPL").watts == 15.0
