"""The manifest reads what older versions wrote, and nothing it does not know."""

from __future__ import annotations

import json

import msgspec
import pytest
from bedside.runtime import Bundle, Postprocessing, write_manifest
from bedside.runtime.bundles.manifest import FileEntry, decode_manifest
from bedside.runtime.bundles.variant import Variant
from bedside.runtime.errors import BundleError, FieldError


@pytest.fixture
def fields(toy, task) -> dict:
    """`bundle.json` of one variant, as JSON."""
    variant = Variant(
        precision="int8-bf16", engine="openvino", file="model.xml", passed=False, gate_reason="liver lost"
    )
    return json.loads(toy.manifest(task, (variant,)).encoded())


def test_the_gates_verdict_is_written_and_read(fields):
    variant = decode_manifest(json.dumps(fields).encode()).variants[0]
    assert (variant.precision, variant.passed, variant.gate_reason) == ("int8-bf16", False, "liver lost")


def test_a_bundle_from_before_the_verdict_has_none(fields):
    for name in ("passed", "gate_reason"):
        del fields["variants"][0][name]
    variant = decode_manifest(json.dumps(fields).encode()).variants[0]
    assert (variant.passed, variant.gate_reason) == (None, "")


def test_an_unknown_precision_is_refused(fields):
    fields["variants"][0]["precision"] = "int4"
    with pytest.raises(BundleError, match="int4"):
        decode_manifest(json.dumps(fields).encode())


@pytest.mark.parametrize("bad", ["\x1b[2J", "\x00", "\x7f", "\x9b31m"])
@pytest.mark.parametrize("where", ["licence", "intended_use", "provenance", "variants", "task"])
def test_words_that_command_a_terminal_are_refused(fields, bad, where):
    """`inspect` shows them to people."""
    if where == "provenance":
        fields["provenance"]["training"] = {f"data{bad}": "x"}
    elif where == "variants":
        fields["variants"][0]["gate_reason"] = bad
    elif where == "task":
        fields["task"]["anatomy"] = bad
    else:
        fields[where] = f"words {bad}"
    with pytest.raises(BundleError, match="command a terminal"):
        decode_manifest(json.dumps(fields).encode())


def test_words_may_have_paragraphs(fields):
    fields["intended_use"] = "Livers.\r\n\tNothing else: 3 × 3 µm, Größe, 肝."
    assert decode_manifest(json.dumps(fields).encode()).intended_use == fields["intended_use"]


def test_what_no_device_would_read_is_not_written(toy, task, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"x")
    variant = Variant(precision="fp32", engine="onnxruntime", file="model.onnx")
    with pytest.raises(BundleError, match="command a terminal"):
        write_manifest(tmp_path, toy.manifest(task, (variant,), golden=None, licence="\x1b"))
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_a_manifest_knows_sizes_and_what_failed(toy, task):
    onnx = Variant(precision="fp32", engine="onnxruntime", file="model.onnx", passed=True)
    xml = Variant(precision="int8", engine="openvino", file="model.xml", passed=False)
    sizes = {"model.onnx": 1000, "model.xml": 20, "model.bin": 300, "README.md": 4}
    files = {name: FileEntry(size=size, sha256="0" * 64) for name, size in sizes.items()}
    manifest = toy.manifest(task, (onnx, xml), files=files)
    assert [manifest.variant_bytes(variant) for variant in manifest.variants] == [1000, 320]
    assert manifest.total_bytes == 1324
    assert manifest.failed == (xml,)


def test_an_engine_without_a_row_is_refused_by_name(toy, task):
    variant = Variant(precision="fp32", engine="onnxruntime", file="model.onnx")
    content = toy.manifest(task, (variant,)).encoded().replace(b'"onnxruntime"', b'"tensorflow"')
    with pytest.raises(BundleError, match=r'expected tensorrt, openvino, onnxruntime, got "tensorflow".*variants'):
        decode_manifest(content)


def test_an_engine_that_is_not_installed_may_be_named(toy, task):
    variant = Variant(precision="fp32", engine="tensorrt", file="model.onnx")
    assert decode_manifest(toy.manifest(task, (variant,)).encoded()).variants == (variant,)


def test_a_bundle_that_names_another_tasks_label_is_refused(bundle_path):
    with Bundle.open(bundle_path) as bundle:
        content = bundle.manifest.encoded()
    with pytest.raises(BundleError, match='got "heart"'):
        decode_manifest(content.replace(b'"largest_component": []', b'"largest_component": ["heart"]'))


def test_a_bundle_from_before_post_processing_loads(bundle_path):
    with Bundle.open(bundle_path) as bundle:
        fields = json.loads(bundle.manifest.encoded())
    del fields["postprocessing"]
    assert decode_manifest(json.dumps(fields).encode()).postprocessing == Postprocessing()


def test_two_variants_of_one_engine_and_precision_are_refused(fields):
    fields["variants"] *= 2
    with pytest.raises(BundleError, match="each engine and precision once, got openvino int8-bf16, openvino int8-bf16"):
        decode_manifest(json.dumps(fields).encode())


def timed(precision, milliseconds, **fields) -> Variant:
    return Variant(precision=precision, engine="openvino", file="model.onnx", ms_per_window=milliseconds, **fields)


@pytest.mark.parametrize(("milliseconds", "worth"), [(94.9, True), (95.1, False), (130.0, False), (None, True)])
def test_what_is_not_five_percent_faster_than_a_more_exact_variant_is_not_worth_it(toy, task, milliseconds, worth):
    fp32, int8 = timed("fp32", 100.0, passed=True), timed("int8", milliseconds, passed=True)
    reason = toy.manifest(task, (fp32, int8)).not_worth(int8)
    assert (reason == "") is worth
    assert worth or "not 5 % faster than openvino fp32" in reason


def test_a_variant_is_compared_with_the_fastest_more_exact_one_that_passed(toy, task):
    fp32, int8 = timed("fp32", 100.0, passed=True), timed("int8", 50.0, passed=True)
    bf16, failed = timed("bf16", 49.0, passed=True), timed("bf16", 49.0, passed=False)
    assert "than openvino bf16 (50 against 49 ms" in toy.manifest(task, (fp32, bf16, int8)).not_worth(int8)
    assert toy.manifest(task, (fp32, failed, int8)).not_worth(int8) == ""
    assert toy.manifest(task, (fp32, bf16, int8)).not_worth(fp32) == ""


def test_a_variant_is_compared_with_those_that_the_same_device_ran(toy, task):
    fp32 = timed("fp32", 100.0, passed=True, timed_device="CPU")
    int8 = timed("int8", 50.0, passed=True, timed_device="CPU")
    gpu = {"engine": "tensorrt", "timed_device": "CUDA:0, Some GPU, driver 1", "passed": True}
    fp16 = msgspec.structs.replace(timed("fp16", 2.0), **gpu)
    manifest = toy.manifest(task, (fp32, fp16, int8))
    assert [manifest.not_worth(each) for each in manifest.variants] == ["", "", ""]
    slow = msgspec.structs.replace(timed("int8", 2.0), **gpu)
    assert "than tensorrt fp16 (2 against 2 ms" in toy.manifest(task, (fp32, fp16, slow)).not_worth(slow)


def test_what_was_left_out_has_figures_and_no_files(toy, task):
    fp32 = Variant(precision="fp32", engine="onnxruntime", file="model.onnx", passed=True)
    int8 = Variant(precision="int8", engine="onnxruntime", file="gone.onnx", passed=False, gate_reason="liver")
    manifest = toy.manifest(task, (fp32,), left_out=(int8,))
    assert manifest.all_variants == (fp32, int8)
    assert decode_manifest(manifest.encoded()).failed == (int8,)
    with pytest.raises(FieldError, match="each engine and precision once"):
        toy.manifest(task, (fp32,), left_out=(fp32,))
