"""A plan for the toy bundle on a Jetson, with figures that a person can check, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from bedside.devices import plan
from bedside.devices.device_profile import FOLDER
from bedside.devices.plan import SCAN
from bedside.devices.probe.results import write_probe
from bedside.runtime import write_manifest
from bedside.runtime.bundles.manifest import decode_manifest
from bedside.runtime.errors import InputError, UsageError

from ..runtime.located_bundle import write_located_bundle
from .probe.probes import kernel, made_probe

# The toy network maps a window of 16 × 12 × 8 = 1536 voxels by a convolution of kernel 1 to three classes.
BYTES = 4 * (1536 + 3 * 1536 + 3 + 3)
WINDOWS = 22 * 15 * 12  # of 133 × 137 × 137 voxels of 3 mm, in steps of 6, 9 and 12


def test_time_is_the_windows_times_the_slower_of_operations_and_bytes(bundle_path):
    report = plan([bundle_path], "orin-nano-8")
    (option,) = [each for each in report.options if each.precision == "fp32"]
    seconds = WINDOWS * BYTES / (0.75 * 68e9)
    assert option.windows == WINDOWS
    assert option.gflop == pytest.approx(2 * 1536 * 3 / 1e9)
    assert option.seconds.predicted == pytest.approx(seconds)
    assert (option.seconds.low, option.seconds.high) == pytest.approx((seconds / 2, seconds * 2))
    assert option.tier == "data sheet"
    assert option.joules is not None
    assert option.joules.predicted == pytest.approx(15 * seconds)


def test_memory_holds_the_label_map_and_what_the_runtime_predicts(bundle_path):
    report = plan([bundle_path], "orin-nano-8")
    assert all(option.memory.predicted > 512 * 512 * 400 for option in report.options)  # a byte per voxel
    assert all(option.memory.low < option.memory.predicted < option.memory.high for option in report.options)


def test_a_larger_overlap_takes_more_windows(bundle_path):
    report = plan([bundle_path], "orin-nano-8", overlaps=[0.5, 0.0])
    windows = {option.overlap: option.windows for option in report.options}
    assert windows == {0.0: 17 * 12 * 9, 0.5: 33 * 22 * 17}


def test_variants_that_the_bundle_has_not_are_named(bundle_path):
    report = plan([bundle_path], "orin-nano-8")
    assert [(each.precision, each.reason) for each in report.unplanned] == [
        ("fp16", "the bundle has no fp16 model; bedside export --precision makes one"),
        ("int8-fp16", "the bundle has no int8-fp16 model; bedside export --precision makes one"),
    ]


def test_a_precision_that_an_engine_converts_to_has_another_reason(bundle_path):
    reasons = {(each.engine, each.precision): each.reason for each in plan([bundle_path], "ryzen-7840hs").unplanned}
    assert reasons["openvino", "bf16"] == (
        "the bundle has no bf16 variant, which export measures where openvino computes in it"
    )


def test_what_a_locator_saves_is_not_counted_and_that_is_said(tmp_path, toy, task):
    located = plan([write_located_bundle(tmp_path / "located.bedside", toy, task)], "orin-nano-8")
    assert "located.bedside: its locator is not counted, nor the windows that it leaves out" in located.unproven
    assert {option.windows for option in located.options} == {WINDOWS}


def test_variants_that_failed_the_gate_are_named(bundle_path):
    manifest = decode_manifest((bundle_path / "bundle.json").read_bytes())
    fp32, int8 = manifest.variants
    failed = msgspec.structs.replace(int8, passed=False, gate_reason="bone lost 0.2 Dice")
    write_manifest(bundle_path, msgspec.structs.replace(manifest, variants=(fp32, failed)))
    report = plan([bundle_path], "orin-nano-8")
    reasons = {each.precision: each.reason for each in report.unplanned}
    assert reasons["int8"] == "failed the gate: bone lost 0.2 Dice"
    assert {option.precision for option in report.options} == {"fp32"}


def with_dice(bundle: Path, mean: float) -> Path:
    """Gives every variant of a bundle a mean Dice, as the gate does."""
    manifest = decode_manifest((bundle / "bundle.json").read_bytes())
    scored = tuple(msgspec.structs.replace(variant, dice={"fat": mean}) for variant in manifest.variants)
    write_manifest(bundle, msgspec.structs.replace(manifest, variants=scored))
    return bundle


def test_the_bundle_with_the_better_dice_is_recommended_and_the_caution_said(tmp_path, toy, task):
    bundles = [
        with_dice(toy.write_bundle(tmp_path / f"{name}.bedside", task), mean) for name, mean in (("a", 0.7), ("b", 0.8))
    ]
    report = plan(bundles, "orin-nano-8")
    assert report.recommended is not None
    assert (report.recommended.model, report.recommended.dice) == ("b.bedside", 0.8)
    assert {option.model for option in report.options if option.on_front} == {"b.bedside"}
    assert any(line.startswith("Dice: of each bundle's own gate cases") for line in report.unproven)


def test_a_device_of_unknown_speed_gets_reasons_and_no_figures(bundle_path):
    report = plan([bundle_path], "mini-pc")
    assert report.options == ()
    assert report.recommended is None
    assert "the profile has no fp32 speed of the CPU" in {each.reason for each in report.unplanned}
    (only,) = plan([bundle_path], "xavier-nx-8").unplanned
    assert only.reason == "the profile names no processor on which bedside runs"


def test_a_tight_budget_leaves_nothing(bundle_path):
    report = plan([bundle_path], "orin-nano-8", seconds=0.001, memory=2**20)
    assert report.recommended is None
    assert all("time" in option.exclusions[0] or "memory" in option.exclusions[0] for option in report.options)


def test_the_recommended_option_is_the_most_exact_one_that_fits(bundle_path):
    report = plan([bundle_path], "orin-nano-8", seconds=10.0)
    assert report.recommended is not None
    assert report.recommended.precision == "fp32"
    assert report.recommended in report.options


def test_a_lower_clock_takes_longer_where_the_operations_count(tmp_path, toy):
    task = toy.task(patch=(32, 32, 32))
    weight = np.ones((3, 1, 9, 9, 9), np.float32)
    bundle = toy.write_bundle(
        tmp_path / "deep.bedside", task, toy.conv_model(weight, np.zeros(3, np.float32), task.patch.dhw)
    )
    full, half = (
        next(o for o in plan([bundle], "orin-nano-8", clock_mhz=clock).options if o.precision == "fp32")
        for clock in (625, 312.5)
    )
    assert half.seconds.predicted == pytest.approx(2 * full.seconds.predicted)


def test_a_power_limit_chooses_the_mode(bundle_path):
    report = plan([bundle_path], "orin-nano-8", power=20.0)
    assert (report.power_mode, report.watts) == ("15W", 15)
    report = plan([bundle_path], "orin-nano-8", power=10.0)
    assert (report.power_mode, report.watts) == ("7W", 7)
    assert report.options


def test_a_mode_without_a_limit_has_no_watts_and_is_not_chosen_by_a_limit(bundle_path):
    free = plan([bundle_path], "orin-nx-16")
    assert (free.power_mode, free.watts) == ("MAXN", None)
    assert {option.joules for option in free.options} == {None}
    limited = plan([bundle_path], "orin-nx-16", power=100.0)
    assert (limited.power_mode, limited.watts) == ("25W", 25)


def test_a_mode_whose_clock_is_unknown_needs_one(tmp_path, bundle_path):
    box = (FOLDER / "orin-nano-8.toml").read_text().replace('clock_mhz = { value = 408, source = "nvpmodel" }\n', "")
    (tmp_path / "box.toml").write_text(box)
    report = plan([bundle_path], tmp_path / "box.toml", power=10.0)
    assert report.options == ()
    assert "no clock of the GPU in mode 7W" in report.unplanned[0].reason
    assert plan([bundle_path], tmp_path / "box.toml", power=10.0, clock_mhz=300.0).options


@pytest.mark.parametrize(
    ("device", "options", "message"),
    [
        ("orin", {}, 'no device "orin"; did you mean'),
        ("orin-nano-8", {"seconds": 0.0}, "budget: expected 0.001 to 86400 s, got 0"),
        ("orin-nano-8", {"memory": 10}, "memory: expected 1.04858e[+]06 to"),
        ("orin-nano-8", {"memory": 64_000_000_000}, "memory: Jetson Orin Nano 8 GB has 8 GB, got a limit of 64 GB"),
        ("orin-nano-8", {"power": 5.0}, "Jetson Orin Nano 8 GB takes 7 W in its lowest mode, got a limit of 5 W"),
        ("raspberry-pi-5", {"power": 5.0}, 'power: the profile "raspberry-pi-5" has no watts'),
        ("orin-nano-8", {"clock_mhz": -1.0}, "clock_mhz: expected 1 to 100000 MHz"),
        ("orin-nano-8", {"overlaps": [1.0]}, "overlap: expected 0 ≤ overlap < 1"),
        ("orin-nano-8", {"shape": (512, 512)}, "shape: expected three whole numbers"),
    ],
)
def test_what_no_device_can_do_is_refused_in_one_line(bundle_path, device, options, message):
    with pytest.raises(UsageError, match=message):
        plan([bundle_path], device, **options)


FP32 = {"engine": "tensorrt", "precision": "fp32", "window": {"mean_ms": 2.0, "p50_ms": 1.5, "p99_ms": 4.0}}


def benchmark_file(path: Path, **changes) -> Path:
    content = {
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
        ({"host": {"cpu": {"model": "Other"}, "profile": None}}, 'measured on Other, the plan is for "orin-nano-8"'),
        ({"task": "btcv"}, 'of task "btcv"'),
        (
            {
                "variants": [
                    {"engine": "tensorrt", "precision": "fp32", "window": {"mean_ms": -1, "p50_ms": 1, "p99_ms": 1}}
                ]
            },
            "Expected `float` > 0.0",
        ),
        ({"variants": 3}, "expected what bedside benchmark --json prints"),
        ({"bundles": [{"name": "a"}, {"name": "b"}]}, "expected one bundle with one number of threads"),
        ({"variants": [{**FP32, "threads": 1}, {**FP32, "threads": 4}]}, "expected one bundle with one number of thr"),
        ({"imposed": {"device": "orin-nano-4"}}, "measured with --as, which is not true to speed"),
    ],
)
def test_measurements_of_something_else_are_refused(bundle_path, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        plan([bundle_path], "orin-nano-8", measured=benchmark_file(tmp_path / "b.json", **changes))


def test_a_program_without_a_bundle_is_left_out_of_the_measurements(bundle_path, tmp_path):
    other = {**FP32, "bundle": None, "threads": 4, "window": {"mean_ms": 90.0, "p50_ms": 90.0, "p99_ms": 90.0}}
    report = plan([bundle_path], "orin-nano-8", measured=benchmark_file(tmp_path / "b.json", variants=[FP32, other]))
    (option,) = [each for each in report.options if each.tier == "measured"]
    assert option.seconds.predicted == pytest.approx(WINDOWS * 0.002)


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
    assert reasons["int8"] == f"{without}; the profile has no int8 and no fp32 speed of the CPU"


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


def test_the_report_is_ready_for_json_and_names_its_sources(bundle_path):
    content = json.loads(json.dumps(plan([bundle_path], "orin-nano-8").to_dict()))
    assert content["scan"] == list(SCAN)
    assert content["options"][0]["tier"] == "data sheet"
    assert any("DS-11105-001" in source for source in content["sources"])
    assert any("factor of two" in line for line in content["unproven"])


def test_plan_refuses_wrong_arguments(refusals, bundle_path):
    given = {
        "models": [bundle_path], "device": "orin-nano-8", "seconds": None, "memory": None, "power": None,
        "shape": (64, 64, 64), "spacing": (3.0, 3.0, 3.0), "overlaps": (), "clock_mhz": None, "measured": None,
        "probe": None, "threads": None,
    }  # fmt: skip
    assert refusals(plan, given) == {"models", "device"}
