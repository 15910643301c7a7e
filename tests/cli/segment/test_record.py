"""The run record: hashes, versions, figures and the exit code, and nothing of the patient."""

from __future__ import annotations

import hashlib
import json

import nibabel as nib
import numpy as np
import pytest
import typer
from bedside import __version__
from bedside.cli.options.command import typer_function
from bedside.cli.segment import command as segment
from bedside.runtime import InputError, ResourceError, UsageError
from bedside.runtime.reserved_scan import ReservedScan
from typer.testing import CliRunner

app = typer.Typer()
app.command("segment")(typer_function(segment.Segment))


def run(bundle, scan, *words):
    output = scan.with_name("labels.nii.gz")
    record = scan.with_name("record.json")
    arguments = [
        bundle,
        "-i",
        scan,
        "-o",
        output,
        "--record",
        record,
        "--engine",
        "onnxruntime",
        "--threads",
        1,
        *words,
    ]
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return done, record


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_record_names_what_went_in_and_came_out_by_hash(bundle_path, scan):
    done, record = run(bundle_path, scan)
    assert done.exit_code == 0
    said = json.loads(record.read_text())
    assert said["outcome"]["input_sha256"] == sha256(scan)
    assert said["outcome"]["output_sha256"] == sha256(scan.with_name("labels.nii.gz"))
    assert said["setup"]["bundle_sha256"] == sha256(bundle_path / "bundle.json")


def test_the_record_of_a_scan_that_is_moved_away_meanwhile_has_its_hash(bundle_path, scan, monkeypatch):
    before, real = sha256(scan), ReservedScan.run

    def moved_away(self, progress):
        result = real(self, progress)
        scan.unlink()
        return result

    monkeypatch.setattr(ReservedScan, "run", moved_away)
    done, record = run(bundle_path, scan)
    assert done.exit_code == 0
    assert json.loads(record.read_text())["outcome"]["input_sha256"] == before


def test_the_record_says_how_and_where_it_ran(bundle_path, scan):
    _, record = run(bundle_path, scan, "--overlap", 0.5)
    said = json.loads(record.read_text())
    assert (said["setup"]["bedside"], said["setup"]["options"]["overlap"], said["threads"]) == (__version__, 0.5, 1)
    assert said["choice"]["setting"]["engine"] == "onnxruntime"
    assert said["machine"]["packages"]["numpy"] == np.__version__
    outcome = said["outcome"]
    assert (outcome["engine"], outcome["precision"], outcome["exit_code"]) == ("onnxruntime", "fp32", 0)
    assert outcome["volumes_ml"] == {"fat": 27.0, "bone": 0.0}
    assert outcome["timings_ms"]["infer"] > 0


def test_a_refused_scan_is_on_record_too(bundle_path, scan):
    scan.write_bytes(scan.read_bytes()[:-40])
    done, record = run(bundle_path, scan)
    assert isinstance(done.exception, InputError)
    outcome = json.loads(record.read_text())["outcome"]
    assert (outcome["exit_code"], outcome["output_sha256"], outcome["input_sha256"]) == (3, None, sha256(scan))
    assert outcome["error"]


@pytest.mark.parametrize("damaged", [False, True])
def test_nothing_of_the_patient_is_in_the_record(bundle_path, scan, damaged):
    image = nib.load(scan)
    image.header["descrip"] = b"CANARY"
    named = scan.with_name("CANARY_jane_doe.nii.gz")
    nib.save(image, named)
    if damaged:
        named.write_bytes(named.read_bytes()[:-40])
    _, record = run(bundle_path, named)
    assert "canary" not in record.read_text().lower()
    assert "jane" not in record.read_text().lower()
    assert str(scan.parent) not in record.read_text()


@pytest.mark.parametrize("said", ["(No space left on device)", "there is no folder"])
def test_a_label_map_that_could_not_be_written_is_on_record_without_its_names(bundle_path, scan, monkeypatch, said):
    def refused(result, path):
        folder = f' "{path.parent.name}"' if said.endswith("folder") else ""
        raise ResourceError(f'"{path.name}": cannot be written: {said}{folder}')

    monkeypatch.setattr("bedside.runtime.result.Result.save", refused)
    done, record = run(bundle_path, scan)
    assert isinstance(done.exception, ResourceError)
    assert json.loads(record.read_text())["outcome"]["error"] == f"the label map: cannot be written: {said}"


@pytest.mark.parametrize("content", [b'{"training": []}', b"\xff no JSON"])
def test_the_record_replaces_an_earlier_one_and_no_other_file(bundle_path, scan, content):
    _, record = run(bundle_path, scan)
    done, _ = run(bundle_path, scan)
    assert done.exit_code == 0
    record.write_bytes(content)
    done, _ = run(bundle_path, scan)
    assert isinstance(done.exception, UsageError)
    assert str(done.exception).startswith('--record "record.json": expected nothing there, or an earlier record')
    assert record.read_bytes() == content
    done, _ = run(bundle_path, scan, "--force")
    assert (done.exit_code, json.loads(record.read_text())["outcome"]["exit_code"]) == (0, 0)


@pytest.mark.parametrize("name", ["ct.nii.gz", "labels.nii.gz"])
def test_the_record_replaces_neither_scan_nor_labels(bundle_path, scan, name):
    before = scan.read_bytes()
    output = scan.with_name("labels.nii.gz")
    words = [bundle_path, "-i", scan, "-o", output, "--record", scan.with_name(name)]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert "--record needs a file of its own" in str(done.exception)
    assert scan.read_bytes() == before
