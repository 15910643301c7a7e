"""`bedside bundle labels` writes a network whose output is labels."""

import json

import onnxruntime
from bedside.cli.main import run as bedside


def test_the_network_takes_the_bundles_windows_and_returns_labels(bundle_path, tmp_path, capsys):
    out = tmp_path / "labels.onnx"
    words = ["bundle", "labels", str(bundle_path), "-o", str(out)]
    assert bedside([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "onnx": str(out),
        "precision": "fp32",
        "bytes": out.stat().st_size,
    }
    session = onnxruntime.InferenceSession(out)
    assert [value.name for value in session.get_inputs()] == ["image"]
    assert [(value.name, value.type) for value in session.get_outputs()] == [("labels", "tensor(uint8)")]


def test_a_file_that_is_there_is_replaced_with_force_only(bundle_path, tmp_path, capsys):
    out = tmp_path / "labels.onnx"
    out.write_bytes(b"old")
    words = ["bundle", "labels", str(bundle_path), "-o", str(out), "-q"]
    assert bedside(words) == 2
    assert out.read_bytes() == b"old"
    assert '"labels.onnx" exists; give --force to replace it' in capsys.readouterr().err
    assert bedside([*words, "--force"]) == 0
    assert out.stat().st_size > len(b"old")


def test_a_precision_that_the_bundle_lacks_is_named(bundle_path, tmp_path, capsys):
    words = ["bundle", "labels", str(bundle_path), "-o", str(tmp_path / "labels.onnx"), "--precision", "fp16"]
    assert bedside(words) == 4
    assert "the bundle has no fp16 model; it has: " in capsys.readouterr().err
    assert not (tmp_path / "labels.onnx").exists()


def test_another_ending_is_refused(bundle_path, tmp_path, capsys):
    assert bedside(["bundle", "labels", str(bundle_path), "-o", str(tmp_path / "ct.nii.gz")]) == 2
    assert "expected a name ending in .onnx" in capsys.readouterr().err
