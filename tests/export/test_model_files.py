"""The variants that a bundle's model files offer."""

from __future__ import annotations

from bedside.export import model_files
from bedside.export.model_files import FORMS, offered_variants
from bedside.runtime.engines import engine_entries


def of(variants) -> list[tuple[str, str]]:
    return [(variant.name, variant.file) for variant in variants]


def test_every_precision_has_a_variant_for_every_form(monkeypatch):
    monkeypatch.setattr(model_files, "supports", lambda engine, precision: False)
    assert of(offered_variants(["fp32", "int8"])) == [
        ("onnxruntime fp32", "model.fp32.onnx"),
        ("openvino fp32", "openvino/model.fp32.xml"),
        ("onnxruntime int8", "model.int8.onnx"),
        ("openvino int8", "openvino/model.int8.xml"),
    ]


def test_bf16_variants_run_the_same_files_with_the_engines_that_compute_in_it(monkeypatch):
    monkeypatch.setattr(model_files, "supports", lambda engine, precision: precision != "fp16")
    assert of(offered_variants(["fp32", "int8"]))[4:] == [
        ("openvino bf16", "openvino/model.fp32.xml"),
        ("openvino int8-bf16", "openvino/model.int8.xml"),
    ]


def test_every_format_that_an_engine_gets_has_its_form():
    assert {form.format for form in FORMS} >= {row.model_format for _, row in engine_entries()}


def test_a_form_is_for_the_installed_engines_of_its_format(monkeypatch):
    assert [form.engines for form in FORMS] == [["onnxruntime"], ["openvino"]]  # no GPU for TensorRT
    monkeypatch.setattr(
        "bedside.runtime.engines.table.find_spec", lambda package: None if package == "openvino" else object()
    )
    assert [form.engines for form in FORMS] == [["onnxruntime"], []]
