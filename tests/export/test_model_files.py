"""The variants that a bundle's model files offer."""

from __future__ import annotations

import pytest
from bedside.export import model_files
from bedside.export.model_files import FORMS, ONNX, ModelForm, offered_variants
from bedside.runtime.engines import ENGINES


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
    monkeypatch.setattr(model_files, "supports", lambda engine, precision: engine == "openvino")
    assert of(offered_variants(["fp32", "int8"]))[4:] == [
        ("openvino bf16", "openvino/model.fp32.xml"),
        ("openvino int8-bf16", "openvino/model.int8.xml"),
    ]


def test_a_compiled_form_is_one_row(monkeypatch):
    form = ModelForm("tensorrt", "tensorrt/model.{}.plan", lambda onnx, file: None)
    monkeypatch.setattr(model_files, "supports", lambda engine, precision: False)
    monkeypatch.setattr(model_files, "FORMS", (ONNX, form))
    assert of(offered_variants(["fp32"]))[1] == ("tensorrt fp32", "tensorrt/model.fp32.plan")


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.engine)
def test_every_form_is_for_a_registered_engine(form):
    assert form.engine in ENGINES
