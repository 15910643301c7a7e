"""Which variants a bundle has, from which files, and what becomes of those that cannot be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bedside.export import (
    ExportCases,
    ExportOptions,
    TrainedStudent,
    export_bundle,
    model_files,
)
from bedside.runtime import Bundle, Segmenter
from bedside.runtime.engines import supports


def test_fp32_alone_needs_no_scan_and_a_cpu_without_bfloat16_says_so(export_toy, monkeypatch, caplog):
    monkeypatch.setattr(model_files, "supports", lambda engine, precision: precision == "fp32")
    heard: list[tuple[int, int, str]] = []
    out = export_bundle(**export_toy, progress=lambda done, total, note: heard.append((done, total, note)))
    with Bundle.open(out) as opened:
        assert [variant.precision for variant in opened.manifest.variants] == ["fp32", "fp32"]
        assert all((variant.dice, variant.passed) == ({}, True) for variant in opened.manifest.variants)
    warned = [record.getMessage() for record in caplog.records if record.name == "bedside.export"]
    assert warned == ["no held-out case with a label map: the bundle will carry no Dice"]
    assert [done for done, _, _ in heard] == [0, 1, 1, 2, 3, 4, 5, 6]  # within the second step: a remark
    assert {total for _, total, _ in heard} == {6}
    assert heard[2][2] == "no bf16 variants: this CPU does not compute in bfloat16"


@pytest.mark.skipif(not supports("openvino", "bf16"), reason="this CPU does not compute in bfloat16")
def test_bf16_is_the_same_file_computed_less_precisely(toy_bundle):
    with Bundle.open(toy_bundle) as opened:
        of = {(variant.engine, variant.precision): variant for variant in opened.manifest.variants}
    for exact, rounded in (("fp32", "bf16"), ("int8", "int8-bf16")):
        assert of["openvino", rounded].file == of["openvino", exact].file
        errors = [of["openvino", precision].parity.mean_abs_probability for precision in (rounded, exact)]
        assert errors[0] > errors[1]


def test_fp16_has_a_file_of_its_own_and_its_parity_is_that_of_rounded_results(toy_trained, tmp_path):
    options = ExportOptions(precisions=["fp32", "fp16"], threads=1)
    with Bundle.open(export_bundle(toy_trained, tmp_path / "toy.bedside", options)) as opened:
        of = {variant.name: variant for variant in opened.manifest.variants}
    exact, half = of["onnxruntime fp32"], of["onnxruntime fp16"]
    assert half.file == "model.fp16.onnx"
    assert opened.manifest.variant_bytes(half) < opened.manifest.variant_bytes(exact)
    assert half.passed
    assert half.parity.label_agreement >= 0.999
    assert half.parity.mean_abs_probability > exact.parity.mean_abs_probability


def overflowing(network: torch.nn.Module) -> torch.nn.Module:
    """Makes results of the first layer larger than float16 holds; the logits stay what they are."""
    with torch.no_grad():
        network[0].weight.mul_(2.0**14)
        network[0].bias.mul_(2.0**14)
        network[1].weight.mul_(2.0**-14)
    return network


@pytest.mark.parametrize("keep", [False, True])
def test_variants_whose_results_overflow_in_float16_are_left_out_and_the_others_exported(
    toy_student, toy_task, toy_case, tmp_path, keep
):
    """ONNX Runtime's CPU would compute them in float32 and find nothing wrong."""
    student = TrainedStudent(model=overflowing(toy_student), task=toy_task, student="toy")
    options = ExportOptions(
        precisions=["fp16", "int8", "int8-fp16"],
        cases=ExportCases(calibration=[toy_case[0]]),
        patches=2,
        threads=1,
        keep_failed=keep,
    )
    with Bundle.open(export_bundle(student, tmp_path / "toy.bedside", options)) as opened:
        manifest = opened.manifest
    assert {each.name: each.gate_reason for each in manifest.failed} == {
        f"onnxruntime {precision}": "the output of torch fp16 holds NaN or infinity"
        for precision in ("fp16", "int8-fp16")
    }
    assert manifest.left_out == manifest.failed
    assert {"onnxruntime int8", "openvino int8"} <= {each.name for each in manifest.variants}
    assert not [name for name in manifest.files if "fp16" in name]
    card = (tmp_path / "toy.bedside" / "README.md").read_text()
    assert "**Read the figures with care:** the one scan that calibrates int8 is compared too" in card
    assert "onnxruntime fp16 failed at the gate, left out of the bundle: the output of torch fp16 holds NaN" in card


def test_with_the_onnx_alone_openvino_gives_the_same_labels_from_half_the_bytes(toy_trained, toy_case, tmp_path):
    labels, sizes = [], []
    for name, alone in (("both", False), ("onnx", True)):
        out = export_bundle(toy_trained, tmp_path / name, options=ExportOptions(precisions=("fp32",), onnx_only=alone))
        assert (out / "openvino").exists() != alone
        with Segmenter.load(out, "openvino", "fp32", threads=1) as segmenter:
            labels.append(segmenter.segment(toy_case[0]).labels)
        sizes.append(sum(file.stat().st_size for file in out.rglob("model.*")))
    assert np.array_equal(*labels)
    assert sizes[1] < 0.6 * sizes[0]
