from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from bedside.devices.sensors.tegrastats import Core, Rail, TegraSampler, Temperature, parse_tegrastats
from hypothesis import given
from hypothesis import strategies as st

# Three recorded lines: AGX Orin, Thor, Nano.
AGX_ORIN = "07-25-2026 09:08:28 RAM 20642/62817MB (lfb 1x2MB) CPU [23%@2201,10%@2201,4%@2201,14%@2201,30%@2201,18%@2201,10%@2201,10%@2201,33%@2201,7%@2201,5%@2201,27%@2201] EMC_FREQ 3%@3199 GR3D_FREQ 12%@[1300,1300] NVENC0 off NVDEC0 off NVJPG0 off NVJPG1 off VIC off OFA off NVDLA0 off NVDLA1 off PVA0_FREQ off APE 174 cpu@52.968C/52.968C soc2@48.406C/48.406C soc0@49.531C/49.531C gpu@47.625C/47.625C VDD_GPU_SOC 5139mW/5139mW/5139mW VDD_CPU_CV 3268mW/3268mW/3268mW VIN_SYS_5V0 5500mW/5500mW/5500mW"  # noqa: E501
THOR = "04-21-2026 15:50:52 RAM 105265/125772MB (lfb 34x4MB) CPU [0%@972,0%@972,0%@972,0%@972,0%@972,0%@972,1%@972,0%@972,0%@972,0%@972,0%@972,8%@972,0%@972,0%@972] EMC_FREQ 0%@2750 GR3D_FREQ @[314,314,314] NVENC0_FREQ @314 NVENC1_FREQ @314 NVDEC0_FREQ @314 NVDEC1_FREQ @314 NVJPG0_FREQ @314 VIC off OFA_FREQ @315 PVA0_FREQ off APE 300 cpu@37.343C tj@38.875C soc012@37.468C gpu@38.875C soc345@37.406C VDD_GPU 1962mW/1962mW VDD_CPU_SOC_MSS 5887mW/5887mW VIN_SYS_5V0 5635mW/5635mW VIN 19780mW/19780mW"  # noqa: E501
NANO = "RAM 331/3964MB (lfb 758x4MB) SWAP 0/1982MB (cached 0MB) IRAM 0/252kB(lfb 252kB) CPU [3%@102,1%@102,0%@102,0%@102] EMC_FREQ 3%@204 GR3D_FREQ 7%@76 APE 25 PLL@20.5C CPU@23.5C PMIC@100C GPU@22.5C AO@27.5C thermal@23C POM_5V_IN 933/933 POM_5V_GPU 0/0 POM_5V_CPU 84/105"  # noqa: E501


def test_agx_orin_rails_with_three_values_and_two_clocks_are_read() -> None:
    sample = parse_tegrastats(AGX_ORIN)
    assert sample is not None
    assert (sample.ram_mb, sample.swap_mb) == ((20642, 62817), None)
    assert (len(sample.cores), sample.cores[0]) == (12, Core(23, 2201))
    assert (sample.gpu_load, sample.gpu_mhz) == (12, (1300, 1300))
    assert sample.temperatures[0] == Temperature("cpu", 52.968)
    assert sample.rails[0] == Rail("VDD_GPU_SOC", 5139, 5139)


def test_agx_orin_has_no_input_rail_so_its_power_is_the_sum() -> None:
    sample = parse_tegrastats(AGX_ORIN)
    assert sample is not None
    assert sample.total_milliwatts == 5139 + 3268 + 5500


def test_thor_gives_a_gpu_clock_without_a_load() -> None:
    sample = parse_tegrastats(THOR)
    assert sample is not None
    assert (sample.gpu_load, sample.gpu_mhz) == (None, (314, 314, 314))
    assert [zone.sensor for zone in sample.temperatures] == ["cpu", "tj", "soc012", "gpu", "soc345"]
    assert sample.total_milliwatts == 19780  # VIN, not VIN_SYS_5V0 and not the sum


def test_nano_without_timestamp_and_without_mw_is_read() -> None:
    sample = parse_tegrastats(NANO)
    assert sample is not None
    assert (sample.ram_mb, sample.swap_mb) == ((331, 3964), (0, 1982))
    assert (sample.gpu_load, sample.gpu_mhz) == (7, (76,))
    assert sample.rails == (Rail("POM_5V_IN", 933, 933), Rail("POM_5V_GPU", 0, 0), Rail("POM_5V_CPU", 84, 105))
    assert sample.total_milliwatts == 933


def test_the_nano_sensor_that_always_says_100_degrees_is_left_out() -> None:
    sample = parse_tegrastats(NANO)
    assert sample is not None
    assert "PMIC@100C" in NANO
    assert max(zone.celsius for zone in sample.temperatures) == 27.5


def test_cores_that_are_off_and_sensors_that_are_off_are_no_numbers() -> None:
    sample = parse_tegrastats("RAM 10/20MB CPU [5%@729,off] GR3D_FREQ 0% cv0@-256C cpu@40C")
    assert sample is not None
    assert sample.cores == (Core(5, 729), None)
    assert sample.temperatures == (Temperature("cpu", 40.0),)
    assert (sample.gpu_load, sample.gpu_mhz, sample.rails, sample.total_milliwatts) == (0, (), (), None)


def test_a_line_that_is_no_sample_gives_none() -> None:
    assert parse_tegrastats("NVPM WARN: power config is not set!") is None


@given(line=st.text(), cut=st.integers(0, len(AGX_ORIN)))
def test_no_line_and_no_truncated_line_raises(line: str, cut: int) -> None:
    parse_tegrastats(line)
    parse_tegrastats(AGX_ORIN[:cut] + line)


def test_the_sampler_reads_the_program_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "tegrastats"
    program.write_text(
        f"#!/bin/sh\necho '{NANO}'\necho noise\necho '{NANO.replace('IN 933/', 'IN 1067/')}'\nexec sleep 30\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with TegraSampler() as sampler:
        deadline = time.monotonic() + 60
        while len(sampler.samples) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert len(sampler.samples) == 2
    assert sampler.mean_watts == pytest.approx(1.0)  # (933 + 1067) / 2 mW


def test_without_tegrastats_the_sampler_collects_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with TegraSampler() as sampler:
        pass
    assert (sampler.samples, sampler.mean_watts) == ([], None)


_CORES = st.lists(
    st.none() | st.builds(Core, st.integers(0, 100), st.none() | st.integers(1, 3000)), min_size=1, max_size=14
)
_NAMES = st.sampled_from(["cpu", "gpu", "tj", "soc012", "AO", "thermal", "iwlwifi", "Tboard"])
_ZONES = st.lists(st.tuples(_NAMES, st.integers(-40_000, 120_000)), max_size=8, unique_by=lambda zone: zone[0])
_RAIL_NAMES = st.sampled_from(
    ["VDD_IN", "VIN", "POM_5V_IN", "VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "POM_5V_GPU", "CV", "GPU", "SYS5V"]
)
_RAILS = st.lists(
    st.builds(Rail, _RAIL_NAMES, st.integers(0, 99_999), st.integers(0, 99_999)),
    max_size=6,
    unique_by=lambda rail: rail.name,
)


@given(
    stamp=st.booleans(),
    ram=st.tuples(st.integers(0, 200_000), st.integers(1, 200_000)),
    swap=st.none() | st.tuples(st.integers(0, 9999), st.integers(0, 9999)),
    cores=_CORES,
    load=st.none() | st.integers(0, 100),
    clocks=st.lists(st.integers(1, 3000), max_size=3),
    zones=_ZONES,
    rails=_RAILS,
    unit=st.sampled_from(["", "mW"]),
    third=st.booleans(),
    both=st.booleans(),
)
def test_every_combination_of_the_known_shapes_is_read_back(
    stamp, ram, swap, cores, load, clocks, zones, rails, unit, third, both
):
    """The recorded lines differ in timestamp, swap, cores that are off, GPU clocks, rails' units and values."""
    shown = [
        "off" if core is None else f"{core.load}%" + ("" if core.mhz is None else f"@{core.mhz}") for core in cores
    ]
    graphics = ("" if load is None else f"{load}%") + (
        "" if not clocks else f"@{clocks[0]}" if len(clocks) == 1 else f"@[{','.join(map(str, clocks))}]"
    )
    line = " ".join(
        [
            *(["07-25-2026 09:08:28"] if stamp else []),
            f"RAM {ram[0]}/{ram[1]}MB (lfb 1x2MB)",
            *([] if swap is None else [f"SWAP {swap[0]}/{swap[1]}MB (cached 0MB) IRAM 0/252kB(lfb 252kB)"]),
            f"CPU [{','.join(shown)}]",
            f"EMC_FREQ 3%@204 GR3D_FREQ {graphics} NVENC0 off APE 25",
            *(f"{name}@{value / 1e3:g}C" + (f"/{value / 1e3:g}C" if both else "") for name, value in zones),
            *(
                f"{rail.name} {rail.milliwatts}{unit}/{rail.average}{unit}"
                + (f"/{rail.average}{unit}" if third else "")
                for rail in rails
            ),
        ]
    )
    sample = parse_tegrastats(line)
    assert sample is not None
    assert (sample.ram_mb, sample.swap_mb, sample.cores) == (ram, swap, tuple(cores))
    assert (sample.gpu_load, sample.gpu_mhz) == (load, tuple(clocks))
    assert sample.temperatures == tuple(Temperature(name, float(f"{value / 1e3:g}")) for name, value in zones)
    assert sample.rails == tuple(rails)


def test_the_rails_of_an_agx_xavier_without_prefixes_are_summed() -> None:
    line = "RAM 1/2MB CPU [1%@1190] GPU@30C GPU 0/0 CPU 311/311 SOC 932/932 CV 0/0 VDDRQ 311/311 SYS5V 1557/1557"
    sample = parse_tegrastats(line)
    assert sample is not None
    assert sample.total_milliwatts == 311 + 932 + 311 + 1557
