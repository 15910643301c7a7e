"""The variants that a bundle's model files offer."""

from __future__ import annotations

from bedside.export import model_files
from bedside.export.model_files import FORMS, ONNX_ALONE, offered_variants, remove_unused_models
from bedside.runtime.engines import engine_entries


def of(variants) -> list[tuple[str, str]]:
    return [(variant.name, variant.file) for variant in variants]


def test_every_precision_has_a_variant_for_every_form(monkeypatch):
    monkeypatch.setattr(model_files, "supports", lambda engine, precision: precision in ("fp32", "int8"))
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


def test_with_onnx_alone_an_engine_gets_the_models_that_it_computes_here():
    assert of(offered_variants(["fp32", "uint8", "fp16"], ONNX_ALONE))[:4] == [
        ("openvino fp32", "model.fp32.onnx"),
        ("onnxruntime fp32", "model.fp32.onnx"),
        ("onnxruntime uint8", "model.uint8.onnx"),  # OpenVINO has no uint8, and no float16 on a CPU
        ("onnxruntime fp16", "model.fp16.onnx"),
    ]


def test_a_precision_with_a_file_of_its_own_is_not_converted_as_well(monkeypatch):
    monkeypatch.setattr(model_files, "supports", lambda engine, precision: precision in ("fp32", "fp16"))  # as on a GPU
    offered = of(offered_variants(["fp32", "fp16"], ONNX_ALONE))
    assert [file for name, file in offered if name == "openvino fp16"] == ["model.fp16.onnx"]


def test_every_format_that_an_engine_gets_has_its_form():
    assert {form.format for form in FORMS} >= {row.model_format for _, row in engine_entries()}


def test_a_form_is_for_the_installed_engines_of_its_format(monkeypatch):
    assert [form.engines for form in FORMS] == [["onnxruntime"], ["openvino"]]  # no GPU for TensorRT
    monkeypatch.setattr(
        "bedside.runtime.engines.table.find_spec", lambda package: None if package == "openvino" else object()
    )
    assert [form.engines for form in FORMS] == [["onnxruntime"], []]


def write_models(folder):
    (folder / "openvino").mkdir()
    for precision in ("fp32", "int8"):
        for name in (f"model.{precision}.onnx", f"openvino/model.{precision}.xml", f"openvino/model.{precision}.bin"):
            (folder / name).touch()


def left(folder, *names: str) -> set[str]:
    """Files of int8 that are left where only some variants stay."""
    stay = [variant for variant in offered_variants(["fp32", "int8"]) if variant.name in names]
    remove_unused_models(folder, ["fp32", "int8"], stay)
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*int8*")}


def test_models_of_a_precision_without_variants_are_removed(tmp_path):
    write_models(tmp_path)
    assert left(tmp_path, "onnxruntime fp32", "openvino fp32") == set()
    assert len(list(tmp_path.rglob("*fp32*"))) == 3


def test_the_onnx_stays_while_another_form_of_it_is_used(tmp_path):
    write_models(tmp_path)
    assert left(tmp_path, "onnxruntime fp32", "openvino int8") == {
        "model.int8.onnx", "openvino/model.int8.xml", "openvino/model.int8.bin",
    }  # fmt: skip


def test_a_form_that_no_variant_runs_is_removed_with_its_weights(tmp_path):
    write_models(tmp_path)
    assert left(tmp_path, "onnxruntime fp32", "onnxruntime int8") == {"model.int8.onnx"}


def test_with_the_onnx_alone_every_engine_that_reads_it_runs_it():
    offered = of(offered_variants(["fp32", "int8"], ONNX_ALONE))[:4]
    assert sorted(offered) == [
        (f"{engine} {precision}", f"model.{precision}.onnx")
        for engine in ("onnxruntime", "openvino")
        for precision in ("fp32", "int8")
    ]
