"""A plan for the toy bundle on a Jetson, with figures that a person can check, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from bedside.devices import plan
from bedside.devices.plan import SCAN
from bedside.devices.planner.costs import model_cost
from bedside.devices.planner.planned_model import PlannedModel, PlannedVariant
from bedside.devices.probe.kernels import Kernel
from bedside.devices.probe.networks import kernel_network
from bedside.runtime import write_manifest
from bedside.runtime.bundles.manifest import decode_manifest
from bedside.runtime.bundles.variant import Variant
from bedside.runtime.errors import UsageError
from bedside.runtime.task import Modality

from ..runtime.located_bundle import write_located_bundle

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


def test_int8_fp16_is_planned_in_a_bundle_without_int8(bundle_path):
    (bundle_path / "model.int8.onnx").rename(bundle_path / "model.int8-fp16.onnx")
    manifest = decode_manifest((bundle_path / "bundle.json").read_bytes())
    fp32, int8 = manifest.variants
    mixed = msgspec.structs.replace(int8, precision="int8-fp16", file="model.int8-fp16.onnx")
    write_manifest(bundle_path, msgspec.structs.replace(manifest, variants=(fp32, mixed)))
    report = plan([bundle_path], "orin-nano-8")
    assert {option.precision for option in report.options} == {"fp32", "int8-fp16"}
    assert [each.precision for each in report.unplanned] == ["fp16", "int8"]


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


def test_what_failed_with_one_engine_is_not_planned_with_the_file_of_another(bundle_path):
    manifest = decode_manifest((bundle_path / "bundle.json").read_bytes())
    failed = Variant(precision="int8", engine="tensorrt", file="m", passed=False, gate_reason="bone lost 0.2 Dice")
    write_manifest(bundle_path, msgspec.structs.replace(manifest, left_out=(failed,)))
    report = plan([bundle_path], "orin-nano-8")
    reasons = {(each.engine, each.precision): each.reason for each in report.unplanned}
    assert reasons["tensorrt", "int8"] == "failed the gate: bone lost 0.2 Dice"


def with_dice(bundle: Path, mean: float, gate_data_hash: str = "") -> Path:
    """Gives every variant of a bundle a mean Dice on the scans of a hash, as the gate does."""
    manifest = decode_manifest((bundle / "bundle.json").read_bytes())
    scored = tuple(msgspec.structs.replace(variant, dice={"fat": mean}) for variant in manifest.variants)
    write_manifest(bundle, msgspec.structs.replace(manifest, variants=scored, gate_data_hash=gate_data_hash))
    return bundle


def test_of_bundles_with_the_same_gate_cases_that_with_the_better_dice_is_recommended(tmp_path, toy, task):
    bundles = [
        with_dice(toy.write_bundle(tmp_path / f"{name}.bedside", task), mean, "5" * 64)
        for name, mean in (("a", 0.7), ("b", 0.8))
    ]
    report = plan(bundles, "orin-nano-8")
    assert report.recommended is not None
    assert (report.recommended.model, report.recommended.dice) == ("b.bedside", 0.8)
    assert {option.model for option in report.options if option.on_front} == {"b.bedside"}
    assert {option.dice_of for option in report.options} == {"gate cases 555555555555"}


@pytest.mark.parametrize("hashes", [("5" * 64, "6" * 64), ("5" * 64, ""), ("", "")])
def test_dice_of_other_or_unknown_gate_cases_is_not_compared_and_that_is_said(tmp_path, toy, task, hashes):
    bundles = [
        with_dice(toy.write_bundle(tmp_path / f"{name}.bedside", task), mean, given)
        for name, mean, given in zip("ab", (0.7, 0.8), hashes, strict=True)
    ]
    report = plan(bundles, "orin-nano-8")
    assert {option.model for option in report.options if option.on_front} == {"a.bedside", "b.bedside"}
    assert "is not compared" in report.reason
    assert any(line.startswith("Dice: of different scans (gate cases ") for line in report.unproven)


@pytest.mark.parametrize(
    ("changes", "other"),
    [
        ({"labels": ("background", "fat", "liver")}, "task toy, CT: fat, liver"),
        ({"modality": Modality.MR}, "task toy, MR: fat, bone"),
        ({"labels": ("background", *"abcde")}, "task toy, CT: a, b, c and 2 more"),
    ],
)
def test_bundles_that_find_other_organs_are_no_alternatives(tmp_path, toy, task, changes, other):
    task = task.replaced(**changes)
    weight = np.zeros((task.num_classes, 1, 1, 1, 1), np.float32)
    model = toy.conv_model(weight, weight.ravel(), task.patch.dhw)
    bundles = [toy.write_bundle(tmp_path / "a.bedside", toy.task()), toy.write_bundle(tmp_path / "b", task, model)]
    with pytest.raises(UsageError) as refused:
        plan(bundles, "orin-nano-8")
    assert f'got "a.bedside" (task toy, CT: fat, bone) and "b" ({other}); plan each task by itself' in str(
        refused.value
    )


def test_two_bundles_of_one_name_are_two_models(tmp_path, toy, task):
    bundles = [toy.write_bundle(tmp_path / folder / "student.bedside", task) for folder in "ab"]
    report = plan(bundles, "orin-nano-8")
    assert {option.model for option in report.options} == {"student.bedside (1)", "student.bedside (2)"}


def test_dice_of_a_model_that_does_not_say_of_which_scans_is_compared_with_no_others(task):
    cost = model_cost(kernel_network(Kernel("conv", 32, 32, 32, quantized=False), 4))
    models = [
        PlannedModel(name, task, 0.5, {("tensorrt", "fp32"): PlannedVariant(cost, 1, dice)})
        for name, dice in (("a", 0.7), ("b", 0.8))
    ]
    report = plan(models, "orin-nano-8")
    assert {option.dice_of for option in report.options} == {"unknown scans of a", "unknown scans of b"}
    assert all(option.on_front for option in report.options)


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
        ("orin-nano-8", {"clock_mhz": 626.0}, "Jetson Orin Nano 8 GB reaches 625 MHz by its profile, got 626 MHz"),
        ("orin-nano-8", {"overlaps": [1.0]}, "overlap: expected 0 ≤ overlap < 1"),
        ("orin-nano-8", {"shape": (512, 512)}, "shape: expected three whole numbers"),
    ],
)
def test_what_no_device_can_do_is_refused_in_one_line(bundle_path, device, options, message):
    with pytest.raises(UsageError, match=message):
        plan([bundle_path], device, **options)


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


def test_onnx_runtime_computes_int8_in_floats_on_a_cpu_and_uint8_in_int8(task):
    exact = model_cost(kernel_network(Kernel("conv", 32, 32, 32, quantized=False), 4))
    variants = {
        ("onnxruntime", "fp32"): PlannedVariant(exact, 1),
        **{(engine, "int8"): PlannedVariant(exact.quantized(), 1) for engine in ("onnxruntime", "openvino")},
        ("onnxruntime", "uint8"): PlannedVariant(exact.quantized(), 1),
    }
    report = plan([PlannedModel("made", task, 0.5, variants)], "raspberry-pi-5")
    seconds = {(each.engine, each.precision): each.seconds.predicted for each in report.options}
    assert seconds["onnxruntime", "int8"] == pytest.approx(seconds["onnxruntime", "fp32"])
    assert seconds["onnxruntime", "uint8"] == pytest.approx(seconds["openvino", "int8"])
    assert seconds["onnxruntime", "uint8"] < 0.5 * seconds["onnxruntime", "int8"]


def test_onnx_runtimes_int8_needs_no_int8_speed_of_a_cpu(task):
    exact = model_cost(kernel_network(Kernel("conv", 32, 32, 32, quantized=False), 4))
    precisions = {"fp32": exact, "int8": exact.quantized(), "uint8": exact.quantized()}
    variants = {("onnxruntime", precision): PlannedVariant(cost, 1) for precision, cost in precisions.items()}
    report = plan([PlannedModel("made", task, 0.5, variants)], "intel-n100")
    seconds = {each.precision: each.seconds.predicted for each in report.options}
    assert seconds == {"fp32": pytest.approx(seconds["int8"]), "int8": seconds["int8"]}
    assert [each.precision for each in report.unplanned] == ["uint8"]
