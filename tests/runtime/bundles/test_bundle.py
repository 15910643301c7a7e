"""A bundle returns what was written, and the model that an engine runs."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
from bedside.runtime import Bundle, BundleError, ResourceError, write_manifest
from bedside.runtime.bundles.manifest import CHECKSUM_NAME, MANIFEST_NAME, decode_manifest
from bedside.runtime.bundles.variant import Variant


def test_what_was_written_is_read(bundle_path, task):
    with Bundle.open(bundle_path) as bundle:
        assert bundle.task == task
        assert sorted(bundle.manifest.files) == [
            "README.md", "golden_input.npy", "golden_labels.npy", "golden_output.npy", "model.fp32.onnx",
            "model.int8.onnx",
        ]  # fmt: skip
        assert bundle.file("README.md").read_text() == "# Toy\n"
        assert bundle.manifest.files["README.md"].size == 6


def test_sha256sum_agrees(bundle_path):
    done = subprocess.run(["sha256sum", "--check", CHECKSUM_NAME], cwd=bundle_path, capture_output=True, text=True)
    assert done.stdout == "bundle.json: OK\n"


def test_no_bundle_at_all(tmp_path):
    with pytest.raises(BundleError, match=r'no bundle at "gone\.bedside"'):
        Bundle.open(tmp_path / "gone.bedside")


def test_openvino_takes_the_onnx_where_it_has_no_form_of_its_own(bundle_path):
    bundle = Bundle.open(bundle_path)
    assert bundle.variant("openvino", "int8").file == "model.int8.onnx"


def test_an_engines_own_form_comes_first(bundle_path):
    (bundle_path / "openvino").mkdir()
    for name in ("model.fp32.xml", "model.fp32.bin"):
        (bundle_path / "openvino" / name).write_bytes(b"x")
    manifest = decode_manifest((bundle_path / MANIFEST_NAME).read_bytes())
    own = Variant(precision="fp32", engine="openvino", file="openvino/model.fp32.xml")
    write_manifest(bundle_path, type(manifest)(**{**fields_of(manifest), "variants": (*manifest.variants, own)}))
    bundle = Bundle.open(bundle_path)
    assert bundle.variant("openvino", "fp32") == own
    assert bundle.variant("onnxruntime", "fp32").file == "model.fp32.onnx"


def fields_of(manifest):
    return {name: getattr(manifest, name) for name in manifest.__struct_fields__}


def test_a_precision_that_is_not_there_lists_what_is(toy, task, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "model.onnx").write_bytes(b"x")
    variant = Variant(precision="fp32", engine="onnxruntime", file="model.onnx")
    write_manifest(tmp_path / "b", toy.manifest(task, (variant,), golden=None))
    with pytest.raises(BundleError, match="no int8 model; it has: onnxruntime fp32"):
        Bundle.open(tmp_path / "b").variant("openvino", "int8")


def test_another_engines_variant_does_not_stand_in_for_one_that_failed_at_the_gate(bundle_path):
    manifest = decode_manifest((bundle_path / MANIFEST_NAME).read_bytes())
    failed = Variant(precision="int8", engine="openvino", file="m.xml", passed=False, gate_reason="liver: Dice 0.4")
    write_manifest(bundle_path, type(manifest)(**{**fields_of(manifest), "left_out": (failed,)}))
    bundle = Bundle.open(bundle_path)
    assert (bundle.offers("openvino", "int8"), bundle.offers("onnxruntime", "int8")) == (False, True)
    with pytest.raises(BundleError, match=r"for openvino, which failed at the gate \(liver: Dice 0\.4\);"):
        bundle.variant("openvino", "int8")


def test_a_pickle_in_a_npy_is_refused(bundle_path):
    np.save(bundle_path / "golden_input.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    write_manifest(bundle_path, decode_manifest((bundle_path / MANIFEST_NAME).read_bytes()))
    with pytest.raises(BundleError, match="not a plain NumPy array"):
        Bundle.open(bundle_path).array("golden_input.npy")


@pytest.mark.parametrize(
    "header",
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}", "[[[[", "-" * 9000 + "1"],
    ids=["more than it holds", "never closed", "deeper than Python's parser goes"],
)
def test_a_false_header_of_a_npy_is_refused_and_takes_no_memory(bundle_path, header):
    text = f"{header}\n".encode()
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(16)
    (bundle_path / "golden_input.npy").write_bytes(content)
    write_manifest(bundle_path, decode_manifest((bundle_path / MANIFEST_NAME).read_bytes()))
    with pytest.raises(BundleError, match="not a plain NumPy array"):
        Bundle.open(bundle_path).array("golden_input.npy")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8, np.uint16])
def test_an_array_is_read_as_it_was_written(bundle_path, dtype, order):
    written = np.asarray(np.arange(24).reshape(2, 3, 4), dtype, order=order)
    np.save(bundle_path / "golden_input.npy", written)
    write_manifest(bundle_path, decode_manifest((bundle_path / MANIFEST_NAME).read_bytes()))
    read = Bundle.open(bundle_path).array("golden_input.npy")
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, written)


def test_an_array_that_memory_is_short_for_is_no_fault_of_the_bundle(bundle_path, monkeypatch):
    def short(*_, **__):
        raise MemoryError

    bundle = Bundle.open(bundle_path)
    monkeypatch.setattr("pathlib.Path.open", short)
    with pytest.raises(ResourceError, match=r"golden_input\.npy: memory ran out"):
        bundle.array("golden_input.npy")
