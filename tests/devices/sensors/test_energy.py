from __future__ import annotations

import threading
from pathlib import Path

import pytest
from bedside.devices.sensors import energy
from bedside.devices.sensors.energy import Energy, EnergyMeter, RaplCounters


def write_zone(root: Path, zone: str, name: str, microjoules: int | None, most: int | None = 1_000_000_000) -> Path:
    folder = root / "sys/class/powercap" / zone
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{name}\n")
    if most is not None:
        (folder / "max_energy_range_uj").write_text(f"{most}\n")
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


AMD_RANGE = 65_532_610_987  # µJ: 150 W take it up in seven minutes


def test_every_start_of_a_counter_from_zero_is_counted(tmp_path: Path) -> None:
    counter = write_zone(tmp_path, "intel-rapl:0", "package-0", 0, most=AMD_RANGE)
    counters = RaplCounters(tmp_path)
    joules = None
    for minute in range(1, 31):
        counter.write_text(str(minute * 60 * 150_000_000 % AMD_RANGE))
        joules = counters.joules()
    assert joules == pytest.approx(150.0 * 1800)


def test_the_meter_counts_every_start_from_zero_while_the_block_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_zone(tmp_path, "intel-rapl:0", "package-0", 0)
    readings, read = [0, 900_000_000, 800_000_000, 700_000_000], threading.Event()  # of 1000 J, 900 J further each time

    def read_int(path: Path) -> int:
        if path.name != "energy_uj":
            return 1_000_000_000
        if len(readings) == 1:
            read.set()
            return readings[0]
        return readings.pop(0)

    monkeypatch.setattr(energy, "read_int", read_int)
    with EnergyMeter(tmp_path, interval=0.001) as meter:
        assert read.wait(60)
    assert meter.reading.joules == pytest.approx(2700.0)


def test_the_readings_of_the_counters_end_with_a_block_that_raises(tmp_path: Path) -> None:
    write_zone(tmp_path, "intel-rapl:0", "package-0", 0)

    def is_running() -> bool:
        return any(thread.name == "bedside-energy" for thread in threading.enumerate())

    def block() -> None:
        assert is_running()
        raise ValueError("the block")

    meter = EnergyMeter(tmp_path)
    with pytest.raises(ValueError, match="the block"), meter:
        block()
    assert not is_running()
    assert meter.reading.joules == 0.0


@pytest.mark.parametrize("most", [None, 400_000_000], ids=["no range", "a range below the counter"])
def test_a_counter_that_goes_down_without_a_range_that_says_why_gives_no_figure(
    tmp_path: Path, most: int | None
) -> None:
    counter = write_zone(tmp_path, "intel-rapl:0", "package-0", 900_000_000, most=most)
    with EnergyMeter(tmp_path, interval=3600.0) as meter:
        counter.write_text("5")
    assert meter.reading.joules is None
    assert meter.reading.source == "not readable: a RAPL counter went down, and the kernel does not tell its range"


def test_a_figure_that_was_lost_does_not_come_back(tmp_path: Path) -> None:
    counter = write_zone(tmp_path, "intel-rapl:0", "package-0", 900_000_000, most=None)
    counters = RaplCounters(tmp_path)
    found = list[float | None]()
    for microjoules in (5, 950_000_000):
        counter.write_text(str(microjoules))
        found.append(counters.joules())
    assert found == [None, None]


def test_a_counter_that_cannot_be_read_any_more_says_so(tmp_path: Path) -> None:
    counter = write_zone(tmp_path, "intel-rapl:0", "package-0", 0)
    with EnergyMeter(tmp_path) as meter:
        counter.unlink()
    assert (meter.reading.joules, meter.reading.source) == (
        None,
        "not readable: a RAPL counter could not be read any more",
    )


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
    with EnergyMeter(tmp_path, interval=3600.0) as meter:
        counter.write_text("12500000")
    assert (meter.reading.joules, meter.reading.source) == (pytest.approx(12.5), "RAPL")


def test_power_is_energy_over_time() -> None:
    assert Energy(joules=30.0, seconds=2.0, source="RAPL").watts == 15.0
