"""The record of a scan: hashes and figures, and no name of a file, whatever became of the scan."""

import hashlib
import json
import os
from datetime import datetime, timedelta

import msgspec
import numpy as np
import pytest
from bedside import __version__
from bedside.runtime import Bundle, Grid, Result
from bedside.runtime.engine_selection.engine_choice import EngineChoice
from bedside.runtime.engine_selection.trials import Setting
from bedside.runtime.labels.postprocess import Removal
from bedside.runtime.record import Machine, Outcome, RunRecord, Setup

GRID = Grid((4, 3, 2), np.diag([2.0, 2.0, 2.5, 1.0]))


def result(warnings=(), postprocessing=()):
    labels = np.zeros(GRID.shape, np.uint8)
    return Result(
        labels, GRID, {"fat": 1.5}, {"infer": 20.0}, warnings, "openvino", "int8", 3, 1, postprocessing, device="GPU"
    )


@pytest.fixture
def scan(tmp_path):
    (tmp_path / "jane doe.nii.gz").write_bytes(b"scan")
    return tmp_path / "jane doe.nii.gz"


@pytest.mark.parametrize(("warnings", "exit_code"), [((), 0), (("the result is empty",), 6)])
def test_a_written_label_map_is_recorded_by_hashes_and_figures(tmp_path, warnings, exit_code):
    (tmp_path / "labels.nii.gz").write_bytes(b"labels")
    removed = Removal(step="min_volume", label="fat", components=1, voxels=8, ml=0.08)
    outcome = Outcome.written("ab" * 32, tmp_path / "labels.nii.gz", result(warnings, (removed,)))
    assert (outcome.exit_code, outcome.error, outcome.warnings) == (exit_code, None, warnings)
    assert outcome.input_sha256 == "ab" * 32
    assert outcome.output_sha256 == hashlib.sha256(b"labels").hexdigest()
    assert (outcome.engine, outcome.precision, outcome.device) == ("openvino", "int8", "GPU")
    assert (outcome.windows, outcome.windows_skipped) == (3, 1)
    assert (outcome.volumes_ml, outcome.timings_ms) == ({"fat": 1.5}, {"infer": 20.0})
    assert outcome.postprocessing[0]["voxels"] == 8
    assert datetime.fromisoformat(outcome.finished).utcoffset() == timedelta(0)


def test_an_outcome_of_an_earlier_version_has_an_unknown_device():
    text = b'{"finished":"","exit_code":0,"engine":"openvino","precision":"int8","windows":3}'
    outcome = msgspec.json.decode(text, type=Outcome)
    assert (outcome.engine, outcome.device) == ("openvino", None)


@pytest.mark.parametrize(
    ("message", "recorded"),
    [
        ('"jane doe.nii.gz": truncated gzip file', "truncated gzip file"),
        ('cannot read "jane doe.nii.gz"; check it', "cannot read the scan; check it"),
        ("not enough memory", "not enough memory"),
    ],
)
def test_the_scans_name_is_not_in_the_record_of_a_failure(scan, message, recorded):
    outcome = Outcome.failed(scan, message, 3)
    assert (outcome.error, outcome.exit_code, outcome.output_sha256) == (recorded, 3, None)
    assert outcome.input_sha256 == hashlib.sha256(b"scan").hexdigest()


def test_a_pipe_that_a_scan_was_expected_in_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "scan.nii.gz")
    assert Outcome.failed(tmp_path / "scan.nii.gz", "expected a file, got a pipe", 3).input_sha256 is None


def test_a_failure_after_the_label_map_was_written_keeps_its_hash_and_figures(scan, tmp_path):
    (tmp_path / "labels.nii.gz").write_bytes(b"labels")
    written = Outcome.written("ab" * 32, tmp_path / "labels.nii.gz", result())
    outcome = Outcome.failed(scan, '"jane doe.nii.gz": no report', 5, written)
    assert (outcome.exit_code, outcome.error) == (5, "no report")
    assert (outcome.input_sha256, outcome.output_sha256) == (written.input_sha256, written.output_sha256)
    assert outcome.volumes_ml == {"fat": 1.5}


def test_a_name_that_had_to_be_escaped_is_left_out_too(tmp_path):
    outcome = Outcome.failed(tmp_path / "jane\n doe\x07.nii", '"jane doe\\x07.nii": file not found', 3)
    assert (outcome.error, outcome.input_sha256) == ("file not found", None)


def test_the_setup_identifies_the_bundle_by_the_hash_of_its_manifest(bundle_path):
    with Bundle.open(bundle_path) as bundle:
        setup = Setup.of(bundle, {"overlap": 0.5})
    assert setup.bundle_sha256 == hashlib.sha256((bundle_path / "bundle.json").read_bytes()).hexdigest()
    assert (setup.bedside, setup.task, setup.options) == (__version__, "toy", {"overlap": 0.5})


def test_the_machine_lists_installed_packages_alone(monkeypatch):
    monkeypatch.setattr("bedside.runtime.record.package_version", {"numpy": "2.0", "onnxruntime": "1.20"}.get)
    machine = Machine.this()
    assert machine.packages == {"numpy": "2.0", "onnxruntime": "1.20"}
    assert machine.cpus >= 1


def test_a_record_is_json_that_ends_with_a_line(scan, tmp_path, bundle_path):
    with Bundle.open(bundle_path) as bundle:
        setup = Setup.of(bundle, {})
    choice = EngineChoice(setting=Setting("openvino", "int8"), threads=1, reason="named")
    outcome = Outcome.failed(scan, "no", 5)
    RunRecord(setup=setup, machine=Machine.this(), threads=None, choice=choice, outcome=outcome).save(tmp_path / "r")
    text = (tmp_path / "r").read_text()
    assert text.endswith("}\n")
    assert json.loads(text)["choice"]["setting"] == {
        "engine": "openvino",
        "precision": "int8",
        "streams": 1,
        "device": "CPU",
    }
    assert json.loads(text)["outcome"]["exit_code"] == 5
