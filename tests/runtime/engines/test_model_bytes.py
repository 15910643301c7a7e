from pathlib import Path

import pytest
from bedside.runtime import BundleError, UsageError
from bedside.runtime.engines.model_bytes import ModelBytes, ModelFormat, model_bytes


def test_the_name_decides_on_the_format():
    assert ModelFormat.of("openvino/model.int8.xml") is ModelFormat.OPENVINO_IR
    assert ModelFormat.of("model.int8.onnx") is ModelFormat.ONNX


def test_bytes_files_and_functions_give_the_same_model(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"graph")
    expected = ModelBytes(b"graph")
    assert model_bytes(b"graph") == model_bytes(tmp_path / "model.onnx") == model_bytes(lambda: expected) == expected


def test_a_function_that_returns_something_else_is_refused():
    with pytest.raises(UsageError, match="model: expected a ModelBytes"):
        model_bytes(lambda: b"graph")


def test_an_ir_brings_the_weights_beside_it(tmp_path):
    (tmp_path / "model.int8.xml").write_bytes(b"graph")
    (tmp_path / "model.int8.bin").write_bytes(b"weights")
    assert model_bytes(tmp_path / "model.int8.xml") == ModelBytes(b"graph", b"weights")


def test_an_ir_without_its_weights_is_refused(tmp_path):
    (tmp_path / "model.xml").write_bytes(b"graph")
    with pytest.raises(BundleError, match=r"^model file model\.bin cannot be read: No such file or directory$"):
        model_bytes(tmp_path / "model.xml")


def test_a_name_that_no_file_can_have_is_refused():
    with pytest.raises(BundleError, match="cannot be read: not a path"):
        model_bytes(Path("a\0.onnx"))
