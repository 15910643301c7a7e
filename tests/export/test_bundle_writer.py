"""A bundle is complete, verified and measured, or not there at all."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from bedside.export import (
    ExportCases,
    ExportOptions,
    TrainedStudent,
    bundle_writer,
    export_bundle,
    onnx_models,
)
from bedside.export.gate import verdict
from bedside.runtime import Bundle, Grid, Postprocessing, Segmenter, read_labels, write_volume
from bedside.runtime.engines import supports
from bedside.runtime.errors import BundleError, InputError, ResourceError, UsageError
from bedside.training.runs.learned_from import LearnedFrom

FILES = {
    "LICENSE",
    "README.md",
    "golden_input.npy",
    "golden_labels.npy",
    "golden_output.npy",
    "learned_from.json",
    "metadata.json",
    "model.fp32.onnx",
    "model.int8.onnx",
    "model.uint8.onnx",
    "openvino/model.fp32.bin",
    "openvino/model.fp32.xml",
    "openvino/model.int8.bin",
    "openvino/model.int8.xml",
    "sbom.cdx.json",
}
VARIANTS = [(engine, precision) for precision in ("fp32", "int8") for engine in ("onnxruntime", "openvino")]
VARIANTS += [("onnxruntime", "uint8")]
if supports("openvino", "bf16"):
    VARIANTS += [("openvino", "bf16"), ("openvino", "int8-bf16")]


def test_the_bundle_opens_has_all_files_and_segments_without_error_in_every_variant(toy_bundle, toy_case):
    with Bundle.open(toy_bundle) as opened:
        manifest = opened.manifest
        assert set(manifest.files) == FILES
        assert [(variant.engine, variant.precision) for variant in manifest.variants] == VARIANTS
    truth = read_labels(toy_case[1]).data
    for engine, precision in VARIANTS:
        with Segmenter.load(toy_bundle, engine, precision, threads=1) as segmenter:  # runs the golden self-test
            assert np.array_equal(segmenter.segment(toy_case[0]).labels, truth)


def test_the_bundle_knows_the_scans_that_its_network_learned_from(toy_bundle, toy_trained, export_toy):
    found = LearnedFrom.of(toy_bundle)
    assert (found.data_hash, found.scans, found.knows_all) == ("ab" * 32, {"cd" * 32, "ef" * 32}, True)
    assert "`bedside dataset seen SCANS --by BUNDLE` says" in (toy_bundle / "README.md").read_text()
    export_toy["student"] = replace(toy_trained, learned_from=found)
    export_toy["options"] = replace(export_toy["options"], scan_hashes=False)
    with Bundle.open(export_bundle(**export_toy)) as without:
        assert not without.manifest.records_scans
    assert "dataset seen" not in (export_toy["out"] / "README.md").read_text()


def test_a_network_without_a_record_gives_a_bundle_without_one(export_toy):
    export_toy["student"] = replace(export_toy["student"], learned_from=LearnedFrom(data_hash="ab" * 32))
    assert LearnedFrom.of(export_bundle(**export_toy)) == LearnedFrom(data_hash="ab" * 32)


def test_the_manifest_holds_parity_dice_shapes_and_origin(toy_bundle):
    with Bundle.open(toy_bundle) as opened:
        manifest = opened.manifest
    for variant in manifest.variants:
        assert variant.parity is not None
        assert variant.parity.patches == 8
        assert variant.parity.label_agreement >= 0.999
        assert variant.golden_agreement is not None
        assert variant.golden_agreement >= 0.999
        assert variant.dice == {"fat": 1.0, "bone": 1.0}
        assert (variant.passed, variant.gate_reason) == (True, "")
        assert set(variant.borders) == {"fat", "bone"}
        assert variant.borders["fat"].confidence_error is not None
        assert variant.ms_per_window > 0
        assert (variant.dice_drop is None) is (variant.precision == "fp32")
    assert (manifest.schema_version, manifest.gate_cases, manifest.timed_on.threads) == (8, 1, 1)
    assert [point.overlap for point in manifest.overlap_curve] == [0, 0.125, 0.25, 0.5, 0.625, 0.75]
    assert manifest.recommended_overlap == 0.5  # less needs as many windows: 8
    assert manifest.variants[0].parity.max_abs_probability <= 1e-4
    assert manifest.variants[2].parity.max_abs_probability > manifest.variants[0].parity.max_abs_probability
    assert manifest.input.shape == ("batch", 1, 8, 12, 16)
    assert manifest.output.shape == ("batch", 3, 8, 12, 16)
    origin = manifest.provenance
    assert (origin.student, origin.teacher, origin.lam, origin.training) == (
        "toy-student",
        "toy-teacher",
        0.5,
        {
            "epoch": "7",
            "scans_learned_from": "2",
            "gate": "expected at least 10 gate cases, got 1: losses may not show; "
            "a gate case calibrates int8 too: its Dice says less about int8 on new scans",
        },
    )


def test_the_golden_output_is_the_torch_students(toy_bundle, toy_student):
    patch, expected = np.load(toy_bundle / "golden_input.npy"), np.load(toy_bundle / "golden_output.npy")
    assert patch.shape == (1, 1, 8, 12, 16)
    assert (patch.dtype, expected.dtype, expected.shape) == (np.float16, np.uint8, (3, 8, 12, 16))
    with torch.inference_mode():
        probabilities = toy_student(torch.from_numpy(patch).float()).softmax(1)[0].numpy()
    assert np.abs(probabilities - expected / 255).max() <= 0.5 / 255 + 1e-5
    labels = np.load(toy_bundle / "golden_labels.npy")
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, probabilities.argmax(0))


def test_the_golden_files_are_the_same_whatever_scans_calibrate(toy_trained, toy_case, tmp_path):
    other = tmp_path / "other.nii.gz"
    bone = np.full((20, 16, 12), -1000, np.int16)
    bone[2:18, 2:14, 2:10] = 800
    write_volume(other, bone, Grid(bone.shape, np.diag([3.0, 3.0, 3.0, 1.0])))
    written = set()
    for number, calibration in enumerate(([], [toy_case[0]], [other, toy_case[0]])):
        options = ExportOptions(precisions=["fp32"], cases=ExportCases(calibration=calibration), threads=1)
        out = export_bundle(toy_trained, tmp_path / f"{number}.bedside", options)
        written.add(((out / "golden_input.npy").read_bytes(), (out / "golden_output.npy").read_bytes()))
    assert len(written) == 1


def test_metadata_is_in_monai_bundle_form(toy_bundle):
    data = json.loads((toy_bundle / "metadata.json").read_text())
    assert {"version", "monai_version", "pytorch_version", "numpy_version", "task", "description"} <= set(data)
    image = data["network_data_format"]["inputs"]["image"]
    assert (image["num_channels"], image["spatial_shape"], image["value_range"]) == (1, [8, 12, 16], [0.0, 1.0])
    assert image["format"] == "hounsfield"
    outputs = data["network_data_format"]["outputs"]["pred"]
    assert outputs["channel_def"] == {"0": "background", "1": "fat", "2": "bone"}


def test_the_bill_of_materials_has_the_hash_of_every_other_file(toy_bundle):
    components = json.loads((toy_bundle / "sbom.cdx.json").read_text())["components"]
    listed = {each["name"]: each["hashes"][0]["content"] for each in components if "hashes" in each}
    with Bundle.open(toy_bundle) as opened:
        expected = {name: entry.sha256 for name, entry in opened.manifest.files.items() if name != "sbom.cdx.json"}
        assert (opened.is_signed, listed) == (False, expected)


def test_an_export_signs_what_it_has_written(toy_trained, keys, tmp_path):
    options = ExportOptions(precisions=["fp32"], threads=1, sign=keys.signing)
    with Bundle.open(export_bundle(toy_trained, tmp_path / "toy.bedside", options), trust=keys.public) as opened:
        assert opened.signer == keys.signing.fingerprint


def test_the_model_card_tells_use_figures_and_that_no_scan_is_inside(toy_bundle):
    card = (toy_bundle / "README.md").read_text()
    assert "not a medical device" in card
    assert "toy-student, distilled from toy-teacher, λ = 0.5" in card
    assert "| onnxruntime fp32 |" in card
    assert f"| bone | 1.0000 | 1.0000 |{' 1.0000 [+0.0000] |' * (len(VARIANTS) - 2)}" in card
    assert card.count("| passed |") == len(VARIANTS)
    assert "failed at the gate" not in card
    assert "No scan data is in the bundle; `golden_input.npy` is synthetic." in card
    assert "Apache License" in (toy_bundle / "LICENSE").read_text()


def test_no_name_of_a_scan_is_in_the_bundle(toy_bundle):
    texts = [path.read_bytes() for path in toy_bundle.rglob("*") if path.is_file()]
    assert not any(b"image.nii" in text or b"label.nii" in text for text in texts)


def test_post_processing_of_a_label_the_task_lacks_is_refused_before_work_begins(toy_trained, tmp_path):
    options = ExportOptions(precisions=["fp32"], postprocessing=Postprocessing(largest_component=("spleen",)))
    with pytest.raises(UsageError, match='expected labels of the task, got "spleen"'):
        export_bundle(toy_trained, tmp_path / "b", options, progress=lambda *_: pytest.fail("work began"))


def test_what_failed_is_left_out_with_its_files(toy_trained, toy_case, tmp_path, monkeypatch):
    monkeypatch.setattr(verdict, "MAX_BORDER_DIFFERENCE", 1e-9)  # nothing but fp32 is that exact
    cases = ExportCases(calibration=[toy_case[0]], gate=[toy_case])
    options = ExportOptions(cases=cases, patches=2, threads=1, overlap=0.5, int8_search=0)
    with Bundle.open(export_bundle(toy_trained, tmp_path / "b", options)) as opened:
        manifest = opened.manifest
    assert {variant.precision for variant in manifest.variants} == {"fp32"}
    assert {"onnxruntime int8", "openvino int8"} <= {variant.name for variant in manifest.left_out}
    assert [name for name in manifest.files if "int8" in name] == []


def test_the_page_is_written_beside_the_bundle_and_none_begins_where_it_has_no_place(toy_trained, toy_case, tmp_path):
    cases = ExportCases(gate=[toy_case])
    out, page = tmp_path / "b.bedside", tmp_path / "b.parity.html"
    options = ExportOptions(precisions=["fp32"], cases=cases, threads=1, overlap=0.5, page=page)
    export_bundle(toy_trained, out, options)
    assert "toy: parity of the exported variants" in page.read_text()
    assert not list(out.rglob("*.html"))
    nowhere = replace(options, page=tmp_path / "none" / "page.html")
    with pytest.raises(ResourceError, match=r"page\.html.: cannot be written: there is no folder .none.; make it"):
        export_bundle(toy_trained, tmp_path / "other.bedside", nowhere, lambda *_: pytest.fail("work began"))
    assert not (tmp_path / "other.bedside").exists()


def test_a_page_that_finds_the_disk_full_does_not_cost_the_bundle(toy_trained, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise ResourceError('"page.html": cannot be written (No space left on device)')

    monkeypatch.setattr(bundle_writer, "write_parity_page", full)
    out = tmp_path / "b.bedside"
    options = ExportOptions(precisions=["fp32"], threads=1, page=tmp_path / "page.html")
    with pytest.raises(ResourceError, match=r'No space left on device\); the bundle "b.bedside" is complete'):
        export_bundle(toy_trained, out, options)
    with Bundle.open(out) as opened:
        assert opened.manifest.variants


def test_scans_that_look_like_another_modality_are_warned_of_once_and_in_the_card(toy_trained, tmp_path, caplog):
    values = np.abs(np.random.default_rng(0).normal(300, 200, (40, 40, 40))).astype(np.int16)  # as MR
    values[:, :, :10] = 0
    write_volume(tmp_path / "mr.nii", values, Grid(values.shape, np.diag([3.0, 3.0, 3.0, 1.0])))
    options = ExportOptions(precisions=["fp32"], cases=ExportCases(calibration=[tmp_path / "mr.nii"]), threads=1)
    with caplog.at_level(logging.WARNING, "bedside.export"):
        path = export_bundle(toy_trained, tmp_path / "toy.bedside", options)
    said = [message for message in caplog.messages if "unusual" in message]
    assert len(said) == 1
    assert said[0].startswith("1 of 1 calibration scans are unusual, such as: ")
    assert f"**Read the figures with care:** {said[0]}." in (path / "README.md").read_text()


def test_a_broken_gate_case_leaves_nothing_behind(toy_trained, toy_case, tmp_path):
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"no scan")
    before = set(tmp_path.iterdir())
    cases = ExportCases(gate=[(broken, toy_case[1])])
    with pytest.raises(InputError):
        export_bundle(toy_trained, tmp_path / "toy.bedside", ExportOptions(precisions=["fp32"], cases=cases, threads=1))
    assert set(tmp_path.iterdir()) == before


def test_a_bundle_is_replaced_with_force_only(toy_trained, tmp_path):
    out = tmp_path / "toy.bedside"

    def export(licence: str, force: bool) -> None:
        options = ExportOptions(precisions=["fp32"], licence=licence, force=force, threads=1)
        export_bundle(toy_trained, out, options)

    export("Apache-2.0", force=False)
    with pytest.raises(UsageError, match="--force"):
        export("MIT", force=False)
    with Bundle.open(out) as opened:
        assert opened.manifest.licence == "Apache-2.0"
    export("MIT", force=True)
    with Bundle.open(out) as opened:
        assert opened.manifest.licence == "MIT"
    assert (out / "LICENSE").read_text() == "This model is provided under: MIT\n"


def test_a_folder_with_other_content_is_never_replaced(toy_trained, tmp_path):
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter1.tex").write_text("…")
    with pytest.raises(UsageError, match="other content"):
        export_bundle(toy_trained, out, ExportOptions(precisions=["fp32"], force=True))
    assert (out / "chapter1.tex").exists()


def test_a_zip_as_the_output_is_refused_before_work_begins(toy_trained, tmp_path):
    options = ExportOptions(precisions=["fp32"])
    with pytest.raises(UsageError, match=r'export writes a folder, got "b\.bedside\.zip"'):
        export_bundle(toy_trained, tmp_path / "b.bedside.zip", options, lambda *_: pytest.fail("work began"))


def test_a_student_with_another_number_of_classes_is_refused(toy_task, export_toy):
    student = TrainedStudent(model=torch.nn.Conv3d(1, 5, 1), task=toy_task, student="toy")
    with pytest.raises(UsageError, match="the task wants"):
        export_bundle(**{**export_toy, "student": student})


def test_an_export_that_computes_something_else_is_refused(export_toy, monkeypatch):
    """The exporter is replaced by one that exports a student with swapped channels."""
    real = onnx_models.student_to_onnx

    def swapped(model: torch.nn.Module, patch: tuple[int, int, int]):
        with torch.no_grad():
            model[0].weight.copy_(model[0].weight.flip(0))
        return real(model, patch)

    monkeypatch.setattr(onnx_models, "student_to_onnx", swapped)
    with pytest.raises(BundleError, match="onnxruntime fp32 is not the student"):
        export_bundle(**export_toy)
    assert not export_toy["out"].exists()
