"""`bedside plan`: a predicted time and memory with interval and tier, in 80 columns and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from bedside.cli.main import run
from bedside.devices.probe.results import write_probe
from bedside.distill.students.measured import MeasuredDice
from bedside.runtime import ResourceError, UsageError, write_manifest
from bedside.runtime.bundles.manifest import decode_manifest

from ...devices.probe.probes import kernel, made_probe
from ..compared_students import hippocampus_comparison
from ..printed import widest

ORIN = ("--device", "orin-nano-8", "--scan", "512x512x400@0.8x0.8x1")


@pytest.fixture
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def test_a_plan_shows_time_and_memory_with_interval_and_tier(bundle_path, capsys, narrow):
    assert run(["plan", str(bundle_path), *ORIN]) == 0
    text = capsys.readouterr().out
    assert widest(text) <= 80
    words = text.split()
    # 3960 windows of 24,600 bytes at 51 GB/s, see tests/devices/test_plan.py
    assert {"0.00191", "0.00096…0.0038", "tensorrt", "fp32", "3960", "data", "sheet"} <= set(words)
    assert "recommended: toy.bedside, tensorrt fp32, overlap 0.25" in text
    assert "left out: toy.bedside, tensorrt fp16: the bundle has no fp16 model; bedside" in text
    assert "factor of two" in " ".join(words)


def test_the_energy_has_the_interval_of_the_seconds_in_table_and_page(bundle_path, tmp_path, capsys, narrow):
    page = tmp_path / "plan.html"
    assert run(["plan", str(bundle_path), *ORIN, "--html", str(page)]) == 0
    assert {"0.0287", "0.014…0.057"} <= set(capsys.readouterr().out.split())  # 15 W for 0.00191 s, a factor of two
    assert '0.0287 <span class="muted">(0.014 … 0.057)</span>' in page.read_text()


def test_a_given_clock_stands_in_heading_and_page(bundle_path, tmp_path, capsys):
    page = tmp_path / "plan.html"
    words = ("--power", "7W", "--clock", "600", "--html", str(page))
    assert run(["plan", str(bundle_path), *ORIN, *words]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "mode 7W, clock 600 MHz" in text
    assert "- clock: 600 MHz is above the 408 MHz of mode 7W" in text
    assert "mode 7W, clock 600 MHz" in page.read_text()


def test_json_is_one_object(bundle_path, capsys):
    assert run(["plan", str(bundle_path), *ORIN, "--overlap", "0", "--overlap", "0.5", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["device"] == "orin-nano-8"
    assert {option["overlap"] for option in content["options"]} == {0.0, 0.5}
    assert content["recommended"]["tier"] == "data sheet"


def test_the_probed_tier_is_in_table_json_and_page(bundle_path, tmp_path, capsys, narrow):
    layers = (kernel("output", 8, 14, 8, 2e-3), kernel("conv", 8, 8, 8, 1.0))
    write_probe(tmp_path / "probe.json", made_probe(*layers))
    words = ["plan", str(bundle_path), "--device", "x86-avx512-2", "--probe", str(tmp_path / "probe.json")]
    page = tmp_path / "plan.html"
    assert run([*words, "--threads", "2", "--html", str(page)]) == 0
    text = capsys.readouterr().out
    assert widest(text) <= 80
    assert "probed: from kernels timed on this device" in " ".join(text.split())
    assert "<td>probed</td>" in page.read_text()
    assert run([*words, "--threads", "2", "--html", str(page), "-q"]) == 0  # its own may be replaced
    page.write_text("a person's own")
    assert run([*words, "--threads", "2", "--html", str(page), "-q"]) == 2
    assert page.read_text() == "a person's own"
    assert 'output "plan.html": expected nothing there, or an earlier' in capsys.readouterr().err
    assert run([*words, "--json"]) == 0
    options = json.loads(capsys.readouterr().out)["options"]
    assert {option["tier"] for option in options if option["engine"] == "onnxruntime"} >= {"probed"}


def test_a_probe_that_is_none_is_refused_in_one_line(bundle_path, tmp_path, capsys):
    (tmp_path / "probe.json").write_text("{}")
    words = ["--device", "x86-avx512-2", "--probe", str(tmp_path / "probe.json")]
    assert run(["plan", str(bundle_path), *words]) == 3
    said = capsys.readouterr().err
    assert 'probe "probe.json": expected what bedside devices probe -o writes' in said
    assert said.count("\n") == 1


def test_nothing_that_fits_is_exit_code_5_with_the_reasons(bundle_path, capsys, narrow):
    assert run(["plan", str(bundle_path), *ORIN, "--memory", "100MB"]) == 5
    out, error = capsys.readouterr()
    assert "nothing fits on Jetson Orin Nano 8 GB" in error
    assert "memory: at best" in out
    assert widest(out) <= 80


def test_a_budget_is_in_any_unit_of_time(bundle_path, capsys):
    assert run(["plan", str(bundle_path), *ORIN, "--budget", "1h", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["limits"]["seconds"] == 3600


def test_what_may_miss_the_limit_is_said(bundle_path, capsys):
    assert run(["plan", str(bundle_path), *ORIN, "--budget", "2ms"]) == 0
    assert "not proven: time: at worst 0.00382 s, the limit is 0.002 s" in capsys.readouterr().out


def test_the_page_holds_every_option_and_loads_nothing(bundle_path, tmp_path):
    page = tmp_path / "plan.html"
    assert run(["plan", str(bundle_path), *ORIN, "--html", str(page), "-q"]) == 0
    text = page.read_text()
    assert "<strong>toy.bedside, tensorrt fp32, overlap 0.25</strong> is recommended" in text
    assert "toy.bedside, tensorrt int8, overlap 0.25" in text
    assert "data sheet of Jetson Orin Nano" in text
    assert "http" not in text.replace("gist.github.com", "")


@pytest.mark.parametrize(
    ("page", "code", "message"),
    [
        ("precious.nii.gz", 2, "expected a name ending in .html"),
        ("toy.bedside/plan.html", 2, "outside the bundle"),
        ("nowhere/plan.html", 5, '"plan.html": cannot be written'),
    ],
)
def test_a_page_that_cannot_be_written_is_refused_before_the_work(
    bundle_path, tmp_path, monkeypatch, capsys, page, code, message
):
    monkeypatch.setattr("bedside.devices.plan", lambda *_, **__: pytest.fail("planned"))
    (tmp_path / "precious.nii.gz").write_bytes(b"scan")
    assert run(["plan", str(bundle_path), *ORIN, "--html", str(tmp_path / page)]) == code
    assert message in capsys.readouterr().err
    assert (tmp_path / "precious.nii.gz").read_bytes() == b"scan"


def test_a_plan_is_shown_though_its_page_cannot_be_written(bundle_path, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise ResourceError("the disk is full")

    monkeypatch.setattr("bedside.cli.plan.page.write_plan_page", full)
    assert run(["plan", str(bundle_path), *ORIN, "--html", str(tmp_path / "p.html")]) == 5
    out, error = capsys.readouterr()
    assert "recommended: toy.bedside, tensorrt fp32" in out
    assert "the disk is full" in error


@pytest.mark.slow
def test_students_are_planned_before_any_training(tmp_path, cube_task, capsys, monkeypatch):
    monkeypatch.setattr("bedside.cli.plan.students.measured_students", lambda: ())  # else their Dice is known
    (tmp_path / "cube.toml").write_text(cube_task)
    words = ["--students", "unet-edge-tiny", "--patch", "32", "--patch", "64"]
    words += ["--task", str(tmp_path / "cube.toml"), "--json"]
    assert run(["plan", *ORIN, *words]) == 0
    content = json.loads(capsys.readouterr().out)
    windows = {option["model"]: option["windows"] for option in content["options"]}
    # 102 × 102 × 100 voxels of 4 mm, in steps of 16 and 32
    assert windows == {"unet-edge-tiny 32×32×32": 6 * 6 * 6, "unet-edge-tiny 64×64×64": 3 * 3 * 3}
    assert {option["precision"] for option in content["options"]} == {"fp32", "fp16", "int8", "int8-fp16"}
    seconds = {option["precision"]: option["seconds"]["predicted"] for option in content["options"]}
    assert seconds["int8-fp16"] < seconds["fp16"] < seconds["fp32"]
    assert any("accuracy unknown" in line for line in content["unproven"])


def test_what_another_package_brings_and_cannot_be_imported_stops_no_plan_and_no_list(
    bundle_path, toy_students, installed, tmp_path, capsys
):
    metadata = tmp_path / "packages" / "dead-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: dead\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[bedside.engines]\ndead = gone:ROW\n[bedside.students]\ndead = gone:ROW\n"
    )
    installed(tmp_path / "packages")
    assert run(["plan", str(bundle_path), *ORIN]) == 0
    assert run(["plan", "--students", "all", "--task", "btcv", *ORIN]) == 0
    assert run(["distill", "--student", "list"]) == 0
    assert "dead" not in capsys.readouterr().out
    assert run(["plan", "--students", "dead", "--task", "btcv", *ORIN]) == 2
    assert 'student "dead" of the package dead cannot be imported' in capsys.readouterr().err


@pytest.fixture
def toy_students(monkeypatch, bundle_path):
    """Every student has the network of the toy bundle; a comparison on another task knows the Dice of two."""
    import onnx

    def measured(mean):
        return {"fp32": MeasuredDice(mean=mean, seeds=1), "int8": MeasuredDice(mean=mean - 0.01, seeds=1)}

    comparison = hippocampus_comparison({"unet-nano": measured(0.7), "unet-edge-tiny": measured(0.8)})
    network = onnx.load(str(bundle_path / "model.fp32.onnx"))
    monkeypatch.setattr("bedside.cli.plan.students.student_to_onnx", lambda model, patch: network)
    monkeypatch.setattr("bedside.cli.plan.students.measured_students", lambda: (comparison,))


STUDENTS = ("--students", "unet-nano", "--students", "unet-edge-tiny", "--students", "unet-edge-small")


def test_students_have_the_dice_of_the_comparison_where_it_was_measured(toy_students, capsys):
    assert run(["plan", *ORIN, *STUDENTS, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    dice = {(each["model"], each["precision"]): each["dice"] for each in content["options"]}
    assert dice["unet-edge-tiny", "fp32"] == 0.8
    assert dice["unet-edge-tiny", "int8"] == pytest.approx(0.79)
    assert dice["unet-edge-tiny", "fp16"] is None
    assert dice["unet-edge-small", "fp32"] is None
    assert {each["dice_of"] for each in content["options"]} == {"hippocampus", ""}
    assert content["recommended"]["model"] == "unet-edge-tiny"
    assert content["reason"] == ("best Dice of what fits, 0.800 on hippocampus; accuracy unknown: unet-edge-small")


def test_the_remarks_say_where_the_dice_of_students_comes_from(toy_students, capsys, narrow):
    assert run(["plan", *ORIN, *STUDENTS]) == 0
    text = capsys.readouterr().out
    assert widest(text) <= 80
    words = " ".join(text.split())
    assert "because: best Dice of what fits, 0.800 on hippocampus; accuracy unknown: unet-edge-small" in words
    assert (
        "unet-nano, unet-edge-tiny: not trained; Dice: hippocampus, 40 test cases, after 300 CPU seconds of training "
        "on labels alone, 1 seed, 2026-11-28; another task than btcv, so it only ranks students"
    ) in words
    assert "unet-edge-small: not trained, accuracy unknown" in words


def test_without_measured_figures_students_have_no_dice_and_that_is_said(toy_students, monkeypatch, capsys):
    monkeypatch.setattr("bedside.cli.plan.students.measured_students", lambda: ())
    assert run(["plan", *ORIN, *STUDENTS, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert {each["dice"] for each in content["options"]} == {None}
    assert content["reason"].endswith("accuracy unknown")


def test_dice_of_a_bundle_and_of_students_of_its_task_is_not_compared(toy_students, bundle_path, capsys):
    assert run(["plan", str(scored(bundle_path)), *ORIN, *STUDENTS, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    of_gate = {each["dice_of"] for each in content["options"]} - {"hippocampus", ""}
    assert [scans.startswith("gate cases ") for scans in of_gate] == [True]
    assert "Dice of different scans" in content["reason"]


def test_students_of_another_task_are_no_alternatives_to_a_bundle(toy_students, bundle_path, capsys):
    assert run(["plan", str(bundle_path), *ORIN, *STUDENTS, "--task", "btcv"]) == 2
    assert "plan each task by itself (--task chooses that of students)" in capsys.readouterr().err


def scored(bundle: Path) -> Path:
    """Gives every variant of a bundle a Dice, as its gate would."""
    manifest = decode_manifest((bundle / "bundle.json").read_bytes())
    variants = tuple(msgspec.structs.replace(variant, dice={"fat": 0.9}) for variant in manifest.variants)
    write_manifest(bundle, msgspec.structs.replace(manifest, variants=variants))
    return bundle


def test_a_student_that_cannot_be_exported_is_left_out_with_the_reason(monkeypatch, capsys):
    def refuse(model, patch):
        raise UsageError("torch cannot export this model")

    monkeypatch.setattr("bedside.cli.plan.students.student_to_onnx", refuse)
    assert run(["plan", *ORIN, "--students", "unet-edge-tiny", "--json"]) == 5
    content = json.loads(capsys.readouterr().out)
    assert content["options"] == []
    assert {each["reason"] for each in content["unplanned"]} == {"torch cannot export this model"}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((*ORIN, "--students", "unet-enormous"), 2, 'no student "unet-enormous"'),
        (("--device", "orin-nano"), 2, "did you mean orin-nano-8"),
        ((*ORIN, "--budget", "soon"), 2, "--budget: expected a duration like 500ms, 20s, 30min or 2h"),
        ((*ORIN, "--budget", "0s"), 2, "budget: expected 0.001 to 86400 s"),
        ((*ORIN, "--memory", "64GB"), 2, "has 8 GB, got a limit of 64 GB"),
        ((*ORIN, "--power", "1W"), 2, "takes 7 W in its lowest mode"),
        ((*ORIN, "--clock", "5000"), 2, "clock: Jetson Orin Nano 8 GB reaches 625 MHz by its profile, got 5000 MHz"),
        (("--device", "none.toml"), 3, 'profile "none.toml" cannot be read'),
        ((*ORIN, "--scan", "0x5x5@1x1x1"), 2, "shape: expected three whole numbers"),
        ((*ORIN[:2], "--scan", "999999x5x5@1x1x1"), 2, "shape: expected a scan of at most 100000 mm along each axis"),
        ((*ORIN, "--patch", "64"), 2, "--task and --patch go with --students"),
        ((*ORIN, "--task", "btcv"), 2, "--task and --patch go with --students"),
        ((), 2, "--device"),
    ],
)
def test_bad_input_is_one_line(bundle_path, capsys, words, code, message):
    assert run(["plan", str(bundle_path), *words]) == code
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_a_plan_needs_a_bundle(capsys):
    assert run(["plan", *ORIN]) == 2
    assert "expected a bundle" in capsys.readouterr().err


def test_a_damaged_bundle_is_refused(tmp_path, capsys):
    assert run(["plan", str(tmp_path / "none.bedside"), *ORIN]) == 4
