"""`bedside export`: from a run directory to a bundle that runs."""

from __future__ import annotations

import html
import json
import shutil

import pytest
from bedside.cli.main import run as bedside
from bedside.cli.options.network import NetworkOptions
from bedside.export import ExportOptions
from bedside.runtime import Bundle, Postprocessing, ResourceError
from bedside.runtime.engines import supports
from bedside.training.runs.run import Run

from .exported import TASK


def test_the_bundle_carries_the_runs_origin_and_dice_of_the_gate_case(exported):
    with Bundle.open(exported) as bundle:
        manifest = bundle.manifest
    assert manifest.task == TASK
    assert manifest.provenance.student == "unet-nano"
    assert (manifest.provenance.teacher, manifest.provenance.lam) == ("big-one", 0.5)
    assert manifest.provenance.data_hash == "cd" * 32
    assert manifest.provenance.training["epoch"] == "2"
    care = manifest.provenance.training["gate"]
    assert "not every scan is recorded from which the student, or what taught it, learned" in care
    assert "a gate case calibrates int8 too" in care  # the one case is in both lists
    assert len(manifest.variants) == (7 if supports("openvino", "bf16") else 5)
    for variant in manifest.variants:
        assert set(variant.dice) == {"fat"}  # bone is absent: left out, not counted as 0 or 1
        assert 0 <= variant.dice["fat"] <= 1
        assert variant.parity is not None
        assert variant.parity.max_abs_probability <= (1e-4 if variant.precision == "fp32" else 0.02)


def test_the_bundle_declares_the_post_processing_asked_for_and_its_card_says_so(exported):
    with Bundle.open(exported) as bundle:
        declared = bundle.manifest.postprocessing
    assert declared == Postprocessing(largest_component=("fat",), min_volume_ml={"bone": 2.5}, within_body=True)
    assert str(declared) in (exported / "README.md").read_text()


def test_export_warns_of_every_variant_that_failed_at_the_gate(exported, student_folder):
    """int8 of the random network labels four voxels in five like it."""
    with Bundle.open(exported) as bundle:
        failed = [variant for variant in bundle.manifest.variants if variant.passed is False]
    assert "int8" in {variant.precision for variant in failed}
    warned = [line for line in (student_folder / "said.txt").read_text().splitlines() if "failed at the gate" in line]
    assert len(warned) == len(failed)
    assert all(variant.gate_reason in line for variant, line in zip(failed, warned, strict=True))


def test_a_key_that_cannot_sign_is_refused_before_work_begins(student_folder, keys, tmp_path, capsys):
    words = ["export", str(student_folder / "student"), "-o", str(tmp_path / "b"), "--precision", "fp32"]
    assert bedside([*words, "--sign", str(keys.public)]) == 3
    assert '"release.pub": expected an Ed25519 private key' in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_the_formats_are_shown_without_a_run(capfd):
    assert bedside(["export", "--formats"]) == 0
    shown = capfd.readouterr().out
    assert "tensorrt     fp16       model.fp16.onnx" in shown
    assert "bedside[tensorrt]" in shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "named"),
    [(["{tmp}/run"], '"run"'), (["-o", "{tmp}/b.bedside"], "--output"), (["--gate", "3"], "--gate")],
)
def test_the_formats_take_no_other_argument(words, named, tmp_path, capfd):
    assert bedside(["export", "--formats", "-q", *(word.format(tmp=tmp_path) for word in words)]) == 2
    assert f"--formats shows a list and does nothing else: leave {named} out" in capfd.readouterr().err


def test_the_formats_in_json_are_one_object(capfd):
    assert bedside(["export", "--formats", "--json"]) == 0
    formats = json.loads(capfd.readouterr().out)["formats"]
    (row,) = (each for each in formats if (each["engine"], each["precision"]) == ("onnxruntime", "fp32"))
    assert row["file"] == "model.fp32.onnx"
    assert (row["installed"], row["devices"], row["state"]) == (True, ["CPU"], "runs on CPU")


def test_the_page_is_beside_the_bundle_by_default(exported):
    page = html.unescape(exported.with_name("b.parity.html").read_text())
    assert "toy: parity of the exported variants" in page
    with Bundle.open(exported) as bundle:
        for variant in bundle.manifest.failed:
            assert f"<strong>{variant.name}</strong> failed: {variant.gate_reason}." in page


@pytest.fixture
def options_of(student_folder, tmp_path, monkeypatch):
    """Returns a function that calls export up to its work, and returns the options that it would have."""
    asked: list[ExportOptions] = []

    def export_bundle(student, out, options, progress):
        asked.append(options)
        raise ResourceError("enough")

    monkeypatch.setattr("bedside.export.export_bundle", export_bundle)
    monkeypatch.setattr(NetworkOptions, "opened", lambda self, calibration: None)

    def call(name, *words):
        run, data = str(student_folder / "student"), str(student_folder / "dataset.json")
        assert bedside(["export", run, "-o", str(tmp_path / name), "--calibration", data, *words]) == 5
        return asked[-1]

    return call


@pytest.mark.parametrize(
    ("words", "precisions"),
    [
        ([], ["fp32", "int8", "uint8"]),
        (["--precision", "fp32,int8"], ["fp32", "int8"]),
        (["--precision", "FP32", "--precision", "int8"], ["fp32", "int8"]),
    ],
)
def test_precisions_are_given_with_commas_or_one_by_one(options_of, words, precisions):
    assert options_of("b.bedside", *words).precisions == precisions


@pytest.mark.parametrize(
    ("name", "words", "page"),
    [
        ("b.bedside", [], "b.parity.html"),
        ("liver-0.25", [], "liver-0.25.parity.html"),  # liver-0.5 has another page
        ("b.bedside", ["--no-page"], None),
        ("b.bedside", ["--page", "{new}/mine.html"], "mine.html"),
    ],
)
def test_the_page_is_where_the_caller_wants_it(options_of, tmp_path, name, words, page):
    options = options_of(name, *(word.format(new=tmp_path) for word in words))
    assert options.page == (None if page is None else tmp_path / page)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (
            ["export", "-o", "{new}", "--precision", "fp32"],
            2,
            "expected either a run, MONAI bundle or nnU-Net folder, or --network",
        ),
        (["export", "{run}"], 2, "give --output; only --formats does without"),
        (["export", "{run}", "-o", "{new}"], 2, "give --calibration DATASET"),
        (
            ["export", "{run}", "-o", "{new}", "--precision", "fp8"],
            2,
            "expected some of fp32, fp16, int8, uint8, int8-fp16, got fp8",
        ),
        (["export", "{run}", "-o", "{new}", "--page", "p.html", "--no-page"], 2, "--page and --no-page exclude"),
        (["export", "{data}", "-o", "{new}", "--precision", "fp32"], 3, "not a run directory"),
        (["export", "{untrained}", "-o", "{new}", "--precision", "fp32"], 3, "no checkpoint"),
        (
            ["export", "{run}", "-o", "{new}", "--precision", "fp32", "--locator", "{run}"],
            3,
            '"student" is a student run; expected a locator',
        ),
    ],
)
def test_wrong_calls_end_in_one_line_with_the_familys_exit_code(
    student_folder, tmp_path, tmp_path_factory, capsys, words, code, message
):
    untrained = tmp_path_factory.mktemp("untrained")
    shutil.copy(student_folder / "student" / Run.CONFIG, untrained)
    places = {"run": student_folder / "student", "data": student_folder, "new": tmp_path / "new.bedside"}
    places["untrained"] = untrained
    assert bedside([word.format(**places) for word in words]) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not list(tmp_path.iterdir())
