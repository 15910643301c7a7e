"""The table of formats is computed from the table of engines."""

from __future__ import annotations

import pytest
from bedside.export import formats
from bedside.export.formats import export_formats
from bedside.runtime.engines import ENGINES, InferenceDevice


def of(engine: str) -> dict[str, formats.ExportFormat]:
    return {row.precision: row for row in export_formats() if row.engine == engine}


def test_every_engine_has_a_row_for_each_of_its_precisions():
    listed = [(row.engine, row.precision) for row in export_formats()]
    assert listed == [(name, precision) for name, row in ENGINES.items() for precision in row.precisions]


def test_the_models_are_those_that_a_bundle_has():
    assert {precision: row.file for precision, row in of("tensorrt").items()} == {
        "fp32": "model.fp32.onnx",
        "fp16": "model.fp16.onnx",
        "int8": "model.int8.onnx",
        "int8-fp16": "model.int8-fp16.onnx",
    }
    assert of("onnxruntime")["uint8"].file == "model.uint8.onnx"
    assert {precision: row.file for precision, row in of("openvino").items()} == {
        "fp32": "openvino/model.fp32.xml",
        "fp16": "openvino/model.fp32.xml",
        "bf16": "openvino/model.fp32.xml",
        "int8": "openvino/model.int8.xml",
        "int8-bf16": "openvino/model.int8.xml",
    }


def test_needs_are_the_extra_or_the_plain_install():
    assert of("openvino")["fp32"].needs == "bedside[openvino]"
    assert of("onnxruntime")["fp32"].needs == "bedside"


@pytest.mark.parametrize(
    ("devices", "state"),
    [([], "no device here"), (["CPU"], "runs on CPU"), (["CPU", "GPU"], "runs on CPU, GPU")],
)
def test_the_state_names_the_devices_of_this_machine(monkeypatch, devices, state):
    found = tuple(InferenceDevice(name, ("int8",)) for name in devices)
    monkeypatch.setattr(formats, "inference_devices", lambda name, precision: found)
    assert of("onnxruntime")["int8"].state == state


def test_an_engine_without_its_package_is_not_installed(monkeypatch):
    monkeypatch.setattr("bedside.runtime.engines.table.find_spec", lambda package: None)
    assert {row.state for row in export_formats()} == {"not installed"}
