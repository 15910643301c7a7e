"""NVML is read through nvidia-ml-py where it is; a missing package, driver or figure is named or None."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
from bedside.devices.sensors.energy import EnergyMeter
from bedside.devices.sensors.nvml import CardSample, Nvml

from .test_energy import write_zone


class NVMLError(Exception):
    pass


@pytest.fixture(autouse=True)
def _no_choice(monkeypatch):
    """The environment of whoever runs the tests chooses no card."""
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(name, raising=False)


def library(**changes):
    """A pynvml with one card of 120 W at 61 °C, 1980 MHz and 5 GB in use, slowed down by heat."""

    def refuse(*_):
        raise NVMLError("Not Supported")

    millijoules = iter([1_000_000, 1_360_000, 2_000_000])
    module = ModuleType("pynvml")
    module.__dict__.update(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: "card",
        nvmlDeviceGetName=lambda card: b"NVIDIA RTX A2000",
        nvmlDeviceGetPowerUsage=lambda card: 120_000,
        nvmlDeviceGetTemperature=lambda card, sensor: 61,
        nvmlDeviceGetClockInfo=lambda card, kind: 1980,
        nvmlDeviceGetMemoryInfo=lambda card: SimpleNamespace(used=5_000_000_000),
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda card: 0x21,
        nvmlDeviceGetTotalEnergyConsumption=lambda card: next(millijoules),
    )
    module.__dict__.update({name: refuse if value is None else value for name, value in changes.items()})
    return module


def test_a_cards_power_heat_clock_memory_and_throttling_are_read(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", library())
    with Nvml() as card:
        assert (card.title, card.reason) == ("NVIDIA RTX A2000", "")
        assert card.sample() == CardSample(120.0, 61, 1980, 5_000_000_000, ("software thermal slowdown",))


@pytest.mark.parametrize(
    ("visible", "order", "title"),
    [
        (None, None, "NVIDIA A"),
        ("1", "PCI_BUS_ID", "NVIDIA B"),
        ("1,0", "PCI_BUS_ID", "NVIDIA B"),
        ("1", None, "NVIDIA A"),  # CUDA's own order is not NVML's: nothing is certain
        ("GPU-1b", None, "NVIDIA B"),
        ("GPU-1b22,GPU-0a11", None, "NVIDIA B"),
        ("MIG-77", "PCI_BUS_ID", "NVIDIA A"),
        ("", "PCI_BUS_ID", "NVIDIA A"),
    ],
)
def test_the_card_is_the_first_that_cuda_sees_where_the_environment_says_it(monkeypatch, visible, order, title):
    for name, value in (("CUDA_VISIBLE_DEVICES", visible), ("CUDA_DEVICE_ORDER", order)):
        if value is not None:
            monkeypatch.setenv(name, value)
    cards = {
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetUUID": lambda card: ("GPU-0a11", "GPU-1b22")[card],
        "nvmlDeviceGetName": lambda card: ("NVIDIA A", "NVIDIA B")[card],
    }
    monkeypatch.setitem(sys.modules, "pynvml", library(**cards))
    with Nvml() as card:
        assert card.title == title


def test_what_a_card_does_not_report_is_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", library(nvmlDeviceGetPowerUsage=None, nvmlDeviceGetMemoryInfo=None))
    with Nvml() as card:
        assert card.sample() == CardSample(None, 61, 1980, None, ("software thermal slowdown",))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"nvmlInit": None}, "no NVIDIA driver"), ({"nvmlDeviceGetHandleByIndex": None}, "no NVIDIA graphics card")],
)
def test_without_driver_or_card_the_reason_is_named(monkeypatch, changes, reason):
    monkeypatch.setitem(sys.modules, "pynvml", library(**changes))
    with Nvml() as card:
        assert reason in card.reason
        assert (card.sample(), card.joules()) == (None, None)


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with Nvml() as card:
        assert card.reason == "not readable: nvidia-ml-py is not installed (extra nvml)"


def test_the_energy_of_a_card_is_measured_where_it_takes_part(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pynvml", library())
    monkeypatch.setenv("PATH", str(tmp_path))
    with EnergyMeter(tmp_path, graphics=True) as meter:
        pass
    assert meter.reading.joules == pytest.approx(360.0)
    assert meter.reading.source == "NVML, the graphics card alone"
    with EnergyMeter(tmp_path) as meter:
        pass
    assert meter.reading.joules is None


def test_a_processor_whose_energy_is_lost_meanwhile_leaves_no_figure_of_the_card_alone(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pynvml", library())
    monkeypatch.setenv("PATH", str(tmp_path))
    counter = write_zone(tmp_path, "intel-rapl:0", "package-0", 900, most=None)
    with EnergyMeter(tmp_path, graphics=True, interval=3600.0) as meter:
        counter.write_text("5")
    assert meter.reading.joules is None
    assert "a RAPL counter went down" in meter.reading.source


def test_a_card_without_an_energy_counter_gives_a_reason_and_no_figure(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pynvml", library(nvmlDeviceGetTotalEnergyConsumption=None))
    monkeypatch.setenv("PATH", str(tmp_path))
    with EnergyMeter(tmp_path, graphics=True) as meter:
        pass
    assert (meter.reading.joules, meter.reading.source) == (None, "not readable: the card has no energy counter")
