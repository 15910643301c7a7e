"""`bedside inspect` of a bundle, of a run, and of what is neither."""

from __future__ import annotations

import io
import json
from pathlib import Path

import msgspec
import pytest
from bedside.cli.main import run as bedside
from bedside.cli.tables.bundle import bundle_tables
from bedside.runtime import Bundle, Postprocessing
from bedside.runtime.engines import ENGINES
from rich.console import Console

from ..exported import TASK


def test_inspect_tells_passed_from_failed_and_why(exported, capsys):
    assert bedside(["inspect", str(exported)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "passed" in text
    assert "openvino int8 failed: " in text
    assert "of the voxels have the student's label (at least 99 %)" in text


def test_inspect_json_of_a_bundle_is_one_object_with_variants_parity_and_sizes(exported, capsys):
    assert bedside(["inspect", str(exported), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["kind"] == "bundle"
    assert facts["task"]["labels"] == ["background", "fat", "bone"]
    assert (
        facts["bytes"]
        == sum(
            path.stat().st_size for path in exported.rglob("*.*") if path.name not in ("bundle.json", "bundle.sha256")
        )
        + (exported / "LICENSE").stat().st_size
    )
    openvino = facts["variants"][1]
    files = [exported / "openvino" / f"model.fp32.{ending}" for ending in ("xml", "bin")]
    assert openvino["bytes"] == sum(path.stat().st_size for path in files)
    assert openvino["parity"]["patches"] == 8
    assert facts["licence"] == "Apache-2.0"
    assert (facts["signed"], facts["signer"], facts["sbom"]) == (False, None, "sbom.cdx.json")


def test_inspect_shows_a_bundle_to_people(exported, capsys):
    assert bedside(["inspect", str(exported)]) == 0
    text = capsys.readouterr().out
    for word in (
        "sbom.cdx.json",
        "signature",
        "toy",
        "unet-nano",
        "big-one",
        "openvino int8",
        "fat",
        "Apache-2.0",
        "Not a medical device",
    ):
        assert word in text


def test_dice_of_every_variant_is_whole_on_80_columns(exported, monkeypatch):
    longest = "portal_vein_and_splenic_vein"
    with Bundle.open(exported) as bundle:
        variants = tuple(
            msgspec.structs.replace(
                bundle.manifest.variants[0], engine=engine, precision=precision, dice={longest: 0.8765}
            )
            for engine in ("onnxruntime", "openvino")
            for precision in ENGINES[engine].precisions
        )
        manifest = msgspec.structs.replace(
            bundle.manifest,
            task=TASK.replaced(labels=("background", longest, "bone")),
            variants=variants,
            left_out=(),
            postprocessing=Postprocessing(),
        )
        monkeypatch.setattr(bundle, "manifest", manifest)
        tables = [part for part in bundle_tables(bundle) if not isinstance(part, str)]
    shown = io.StringIO()
    for table in tables:
        if str(table.title).startswith("Dice"):
            Console(file=shown, width=80).print(table)
    assert shown.getvalue().count("0.8765") == len(variants)
    assert longest in shown.getvalue()
    assert "…" not in shown.getvalue()


def test_a_time_of_a_gpu_names_it(exported, monkeypatch):
    with Bundle.open(exported) as bundle:
        fp32 = bundle.manifest.variants[0]
        gpu = msgspec.structs.replace(fp32, ms_per_window=1.9, timed_device="GPU.1, Arc, driver 24")
        monkeypatch.setattr(bundle, "manifest", msgspec.structs.replace(bundle.manifest, variants=(gpu,), left_out=()))
        tables = [part for part in bundle_tables(bundle) if not isinstance(part, str)]
    shown = io.StringIO()
    Console(file=shown, width=120).print(*tables)
    assert "1.9 (GPU.1, Arc, driver 24)" in shown.getvalue()


def test_inspect_refuses_an_altered_bundle_with_exit_code_4(exported, tmp_path, capsys):
    import shutil

    copy = Path(shutil.copytree(exported, tmp_path / "copy"))
    with (copy / "model.fp32.onnx").open("r+b") as file:
        file.seek(1000)
        byte = file.read(1)
        file.seek(1000)
        file.write(bytes([byte[0] ^ 1]))
    assert bedside(["inspect", str(copy)]) == 4
    assert "model.fp32.onnx" in capsys.readouterr().err


def test_a_folder_that_holds_none_of_these_is_told_what_is_taken(tmp_path, capsys):
    assert bedside(["inspect", str(tmp_path)]) == 4
    expected = (
        "has no bundle.json; expected a bundle, a run directory or a folder of DICOM files: give what was --output"
    )
    assert expected in capsys.readouterr().err
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "config.toml").touch()
    assert bedside(["inspect", str(tmp_path)]) == 4
    assert f'give the run in it, "{tmp_path.name}/student"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "message"),
    [(None, "does not exist; expected a bundle"), ("dataset.json", "is a data set; expected a bundle or a run")],
)
def test_what_is_neither_is_refused_in_one_line(tmp_path, capsys, file, message):
    path = tmp_path / "nowhere"
    if file is not None:
        path.mkdir()
        (path / file).touch()
    assert bedside(["inspect", str(path)]) == 3
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
