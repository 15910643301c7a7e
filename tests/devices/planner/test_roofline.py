"""The roofline, against calculations by hand."""

import pytest
from bedside.devices.hardware.device_profile import DeviceProfile, Figure, PowerMode, Processor
from bedside.devices.planner.costs import ModelCost, NodeCost
from bedside.devices.planner.roofline import Interval, OperatingPoint, Roofline, activation_bytes, formats

COMPUTE = NodeCost("conv", "Conv", operations=10_000, read=100, written=100, parameters=50, quantized=True)
COPY = NodeCost("concat", "Concat", operations=0, read=1000, written=1000)
FUSED = NodeCost("relu", "Relu", operations=10, read=1000, written=1000, fused=True)


def figure(value: float) -> Figure:
    return Figure(value=value, source="sheet")


def profile(**fields) -> DeviceProfile:
    given = {"key": "box", "title": "Box", "sources": {"sheet": "by hand"}, "bandwidth_gb_s": figure(100), **fields}
    return DeviceProfile(**given)


GPU = Processor(
    name="GPU",
    engines=("tensorrt",),
    peak_tops={"fp32": figure(1), "int8": figure(8)},
    clock_mhz=figure(1000),
)


def test_a_node_takes_as_long_as_its_operations_or_its_bytes():
    line = Roofline({"fp32": 1e9}, 1e9, "fp32")
    assert line.node_seconds(COMPUTE) == pytest.approx(10_000 / 1e9)
    assert line.node_seconds(COPY) == pytest.approx(2000 * 4 / 1e9)
    assert line.node_seconds(FUSED) == pytest.approx(10 / 1e9)


def test_quantized_nodes_run_in_int8_and_the_others_in_floating_point():
    line = Roofline({"fp32": 1e9, "int8": 4e9}, 1e9, "int8")
    assert line.node_seconds(COMPUTE) == pytest.approx(10_000 / 4e9)
    assert line.node_seconds(COPY) == pytest.approx(2000 * 4 / 1e9)
    assert Roofline({"fp16": 1e9, "int8": 4e9}, 1e9, "int8-fp16").node_seconds(COPY) == pytest.approx(2000 * 2 / 1e9)


def test_a_window_is_the_sum_of_its_nodes_within_a_factor_of_two():
    line = Roofline({"fp32": 1e9}, 1e9, "fp32")
    window = line.window_seconds(ModelCost((COMPUTE, COPY), 5000, 0))
    assert (window.low, window.predicted, window.high) == pytest.approx((9e-6, 18e-6, 36e-6))
    assert window.scaled(10).high == pytest.approx(360e-6)


def test_activations_take_the_bytes_of_their_number_format():
    cost = ModelCost((), 5000, 0)
    assert [activation_bytes(cost, precision) for precision in ("fp32", "fp16", "int8", "uint8", "int8-fp16")] == [
        20_000, 10_000, 20_000, 20_000, 10_000,
    ]  # fmt: skip
    assert formats("int8-bf16") == ["int8", "bf16"]


def test_half_of_the_peak_and_three_quarters_of_the_bandwidth_are_usable():
    line = OperatingPoint(None).roofline(profile(), GPU, "int8")
    assert isinstance(line, Roofline)
    assert line.peaks == pytest.approx({"int8": 4e12, "fp32": 0.5e12})
    assert line.bandwidth == pytest.approx(75e9)


def test_units_that_are_off_slow_a_mode_down_too():
    half = PowerMode(name="15W", watts=figure(15), clock_mhz=figure(500), active_share=figure(0.5))
    full = PowerMode(name="20W", watts=figure(20), clock_mhz=figure(500))
    slow, fast = (OperatingPoint(mode).roofline(profile(), GPU, "fp32") for mode in (half, full))
    assert isinstance(slow, Roofline)
    assert isinstance(fast, Roofline)
    assert slow.peaks["fp32"] == pytest.approx(0.5 * fast.peaks["fp32"])
    assert slow.bandwidth == fast.bandwidth


def test_a_power_mode_scales_by_its_clock_and_bandwidth():
    mode = PowerMode(name="7W", watts=figure(7), clock_mhz=figure(400), bandwidth_gb_s=figure(50))
    line = OperatingPoint(mode).roofline(profile(), GPU, "fp32")
    assert isinstance(line, Roofline)
    assert line.peaks == pytest.approx({"fp32": 0.4 * 0.5e12})
    assert line.bandwidth == pytest.approx(0.75 * 50e9)


def test_a_clock_that_is_given_counts_more_than_the_modes():
    mode = PowerMode(name="15W", watts=figure(15), at_peak=True)
    line = OperatingPoint(mode, clock_mhz=500).roofline(profile(), GPU, "fp32")
    assert isinstance(line, Roofline)
    assert line.peaks == pytest.approx({"fp32": 0.5 * 0.5e12})


@pytest.mark.parametrize(
    ("fields", "processor", "precision", "mode", "clock", "reason"),
    [
        ({}, GPU, "fp16", None, None, "the profile has no fp16 speed of the GPU"),
        ({"bandwidth_gb_s": None}, GPU, "fp32", None, None, "the profile has no memory bandwidth"),
        ({}, GPU, "fp32", "7W", None, "no clock of the GPU in mode 7W; give it by --clock"),
        ({}, Processor(name="GPU", engines=(), peak_tops=GPU.peak_tops), "fp32", None, 500, "at which clock"),
        ({}, GPU, "fp32", None, 1001, "the GPU reaches 1000 MHz by the profile, not 1001 MHz"),
    ],
)
def test_what_is_unknown_is_a_reason_and_no_figure(fields, processor, precision, mode, clock, reason):
    power = None if mode is None else PowerMode(name=mode, watts=figure(7))
    given = OperatingPoint(power, clock).roofline(profile(**fields), processor, precision)
    assert reason in given


def test_an_interval_reaches_a_factor_both_ways():
    assert Interval.within_factor(4, 4) == Interval(1, 4, 16)
