"""A plan from times of the device: those of a benchmark, and those of a probe's kernels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bedside.devices import plan
from bedside.devices.measurement.report import SCHEMA_VERSION
from bedside.devices.probe.results import write_probe
from bedside.runtime.bundles.bundle import Bundle
from bedside.runtime.errors import InputError, UsageError

from .probe.probes import kernel, made_probe

WINDOWS = 22 * 15 * 12  # of 133 × 137 × 137 voxels of 3 mm, in steps of 6, 9 and 12

WINDOW = {"mean_ms": 2.0, "p50_ms": 1.5, "p99_ms": 4.0}
OPENED = {"engine": "onnxruntime", "precision": "fp32", "device": "CPU", "window": WINDOW}
FP32 = {"engine": "tensorrt", "precision": "fp32", "device": "GPU", "window": WINDOW}


OTHER_HOST = {"cpu": {"model": "Some CPU"}, "profile": None}


def benchmark_file(path: Path, **changes) -> Path:
    content = {
        "schema_version": SCHEMA_VERSION,
        "task": "toy",
        "patch": [16, 12, 8],
        "host": {"cpu": {"model": "ARMv8"}, "profile": "orin-nano-8"},
        "variants": [FP32],
    }
    path.write_text(json.dumps({**content, **changes}))
    return path


def test_measured_times_take_the_place_of_predictions(bundle_path, tmp_path):
    report = plan([bundle_path], "orin-nano-8", measured=benchmark_file(tmp_path / "b.json"))
    tiers = {option.precision: option.tier for option in report.options}
    assert tiers == {"fp32": "measured", "int8": "data sheet"}
    (option,) = [each for each in report.options if each.tier == "measured"]
    assert (option.seconds.low, option.seconds.predicted, option.seconds.high) == pytest.approx(
        (WINDOWS * 0.0015, WINDOWS * 0.002, WINDOWS * 0.004)
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"host": {"cpu": {"model": "Other"}, "profile": None}}, 'of Other, the plan is for "orin-nano-8"'),
        ({"task": "btcv"}, 'of task "btcv"'),
        ({"schema_version": 9}, "expected schema version 1, got 9"),
        ({"bundles": [{"name": "other", "sha256": "0" * 64}]}, 'of another bundle, "other"; measure this one'),
        ({"variants": [{**FP32, "window": {**WINDOW, "mean_ms": -1}}]}, "Expected `float` > 0.0"),
        ({"variants": [OPENED]}, 'measured on CPU, the plan for "orin-nano-8" is of GPU; measure there'),
        ({"variants": 3}, "expected what bedside benchmark --json prints"),
        (
            {"bundles": [{"name": name, "sha256": ""} for name in "ab"]},
            "expected one bundle with one number of threads",
        ),
        ({"variants": [{**FP32, "threads": 1}, {**FP32, "threads": 4}]}, "expected one bundle with one number of thr"),
        ({"imposed": {"device": "orin-nano-4"}}, "measured with --as, which is not true to speed"),
    ],
)
def test_measurements_of_something_else_are_refused(bundle_path, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        plan([bundle_path], "orin-nano-8", measured=benchmark_file(tmp_path / "b.json", **changes))


def test_measurements_of_this_very_bundle_are_taken(bundle_path, tmp_path):
    with Bundle.open(bundle_path) as bundle:
        measured = [{"name": "toy", "sha256": bundle.sha256}]
    report = plan([bundle_path], "orin-nano-8", measured=benchmark_file(tmp_path / "b.json", bundles=measured))
    assert "measured" in {option.tier for option in report.options}


def test_measurements_are_taken_for_a_device_that_nobody_can_recognise(bundle_path, box, tmp_path):
    report = plan([bundle_path], box, measured=benchmark_file(tmp_path / "b.json", variants=[OPENED], host=OTHER_HOST))
    assert {option.tier for option in report.options} == {"measured"}


def test_a_program_without_a_bundle_is_left_out_of_the_measurements(bundle_path, tmp_path):
    other = {**FP32, "bundle": None, "threads": 4, "window": {"mean_ms": 90.0, "p50_ms": 90.0, "p99_ms": 90.0}}
    report = plan([bundle_path], "orin-nano-8", measured=benchmark_file(tmp_path / "b.json", variants=[FP32, other]))
    (option,) = [each for each in report.options if each.tier == "measured"]
    assert option.seconds.predicted == pytest.approx(WINDOWS * 0.002)


def test_each_processor_has_the_times_that_were_measured_on_it(bundle_path, tmp_path):
    other = '\n[[processors]]\nname = "GPU"\nengines = ["onnxruntime"]\n'
    (tmp_path / "box.toml").write_text(BOX + other)
    devices = {"CPU": 400.0, "CUDA": 20.0, "NPU": 90.0}
    variants = [{**OPENED, "device": name, "window": dict.fromkeys(WINDOW, ms)} for name, ms in devices.items()]
    measured = benchmark_file(tmp_path / "b.json", variants=variants, host=OTHER_HOST)
    report = plan([bundle_path], tmp_path / "box.toml", measured=measured)
    found = {each.processor: each.window_seconds.predicted for each in report.options}
    assert found == pytest.approx({"CPU": 0.4, "GPU": 0.02})


def test_of_two_gpus_the_faster_one_is_planned(bundle_path, tmp_path):
    devices = {"GPU.0": 60.0, "GPU.1": 20.0, "GPU.2": 90.0}
    variants = [{**FP32, "device": name, "window": dict.fromkeys(WINDOW, ms)} for name, ms in devices.items()]
    report = plan([bundle_path], "orin-nano-8", measured=benchmark_file(tmp_path / "b.json", variants=variants))
    (option,) = [each for each in report.options if each.tier == "measured"]
    assert option.window_seconds.predicted == pytest.approx(0.02)


def test_measurements_with_other_threads_than_the_plan_are_refused(bundle_path, box, tmp_path):
    measured = benchmark_file(tmp_path / "b.json", variants=[{**OPENED, "threads": 8}], host=OTHER_HOST)
    with pytest.raises(InputError, match="measured with 8 threads, the plan is for 2"):
        plan([bundle_path], box, measured=measured, probe=made_probe(), threads=2)


def test_measurements_go_with_one_bundle(bundle_path, tmp_path):
    with pytest.raises(UsageError, match="measured: expected one bundle"):
        plan([bundle_path, bundle_path], "orin-nano-8", measured=benchmark_file(tmp_path / "b.json"))


BOX = """
title = "Our box"

[sources]
sheet = "data sheet"

[[processors]]
name = "CPU"
engines = ["onnxruntime"]
"""


@pytest.fixture
def box(tmp_path):
    """A device without any figure: only a probe tells its speed."""
    (tmp_path / "box.toml").write_text(BOX)
    return tmp_path / "box.toml"


def test_a_probe_tells_the_time_of_a_device_without_figures(bundle_path, box, tmp_path):
    # The toy network is one layer, and the last: 3 × 1536 values at the 2 ms of the kernel's 14 × 512.
    write_probe(tmp_path / "probe.json", made_probe(kernel("output", 8, 14, 8, 2e-3), kernel("conv", 8, 8, 8, 1.0)))
    report = plan([bundle_path], box, probe=tmp_path / "probe.json")
    (option,) = report.options
    assert (option.tier, option.precision) == ("probed", "fp32")
    assert option.seconds.predicted == pytest.approx(WINDOWS * 2e-3 * (3 * 1536) / (14 * 512))
    assert any(line.startswith("probed: from kernels timed on this device") for line in report.unproven)
    reasons = {each.precision: each.reason for each in report.unplanned}
    without = "the probe has no times of onnxruntime int8 with 2 threads"
    assert reasons["int8"] == f"{without}; the profile has no fp32 speed of the CPU"


@pytest.mark.parametrize("given", [1, 3, 0, "2"])
def test_threads_that_were_not_probed_are_refused(bundle_path, box, given):
    with pytest.raises(UsageError, match="threads: the probe has 2, got"):
        plan([bundle_path], box, probe=made_probe(), threads=given)


def test_threads_go_with_a_probe(bundle_path):
    with pytest.raises(UsageError, match="threads: a number of threads goes with a probe"):
        plan([bundle_path], "orin-nano-8", threads=2)


def test_a_probe_of_another_device_is_refused(bundle_path, tmp_path):
    (tmp_path / "box.toml").write_text('model = "Other CPU"\n' + BOX)
    with pytest.raises(InputError, match='probe: of Some CPU, the plan is for "box"'):
        plan([bundle_path], tmp_path / "box.toml", probe=made_probe())


@pytest.mark.parametrize("device", ["raspberry-pi-5", "xeon-8480-plus", "intel-n100"])
def test_a_probe_of_some_other_cpu_is_refused_for_every_device_that_has_a_name(bundle_path, device):
    with pytest.raises(InputError, match=f'probe: of Some CPU, the plan is for "{device}"'):
        plan([bundle_path], device, probe=made_probe())


def test_a_clock_that_does_not_change_probed_times_is_said(bundle_path, box):
    made = made_probe(kernel("output", 8, 14, 8, 2e-3), kernel("conv", 8, 8, 8, 1.0))
    said = "probed: at the clock"
    with_clock = plan([bundle_path], box, probe=made, clock_mhz=2000.0)
    assert any(line.startswith(said) for line in with_clock.unproven)
    assert not any(line.startswith(said) for line in plan([bundle_path], box, probe=made).unproven)
    assert not any(line.startswith(said) for line in plan([bundle_path], "orin-nano-8", clock_mhz=400.0).unproven)


def test_an_engine_that_bedside_does_not_have_is_left_out_with_a_reason(bundle_path, tmp_path):
    (tmp_path / "box.toml").write_text(BOX.replace("onnxruntime", "onxruntime"))
    (left_out,) = plan([bundle_path], tmp_path / "box.toml").unplanned
    assert left_out.engine == "onxruntime"
    assert left_out.reason.startswith("no engine of this name here; expected tensorrt, openvino, onnxruntime")
