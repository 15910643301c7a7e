"""The support report says what runs here and what failed, and holds nothing of a patient."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from bedside.cli.main import run
from bedside.devices.probe.results import write_probe
from bedside.devices.support_report import scrubbed, write_support_report
from bedside.runtime.errors import InputError

from .probe.probes import made_probe

CANARY = "Zzyzx_Qwfp"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BEDSIDE_CACHE", str(tmp_path / "cache"))


def read(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_machine_engines_versions_and_failures_are_in_it(cache, tmp_path):
    write_support_report(tmp_path / "report.zip")
    files = read(tmp_path / "report.zip")
    assert list(files) == ["README.txt", "host.json", "engines.json", "versions.json", "failures.json"]
    assert json.loads(files["host.json"])["host"]["cpu"]["logical_cores"] >= 1
    assert "onnxruntime" in json.loads(files["engines.json"])
    assert json.loads(files["versions.json"])["packages"]["numpy"] == np.__version__


def test_nothing_of_a_patient_is_in_it(cache, tiny_bundle, tmp_path, capfd, monkeypatch):
    """Names of files, folders, user and home are canaries, and a command fails with each before the report."""
    folder = tmp_path / f"{CANARY}Folder"
    folder.mkdir()
    scan, bundle = folder / f"{CANARY}.nii.gz", folder / f"{CANARY}.bedside"
    scan.write_bytes(b"no scan")
    shutil.copytree(tiny_bundle, bundle)
    for name in ("USER", "LOGNAME", "HOSTNAME", "HOME"):
        monkeypatch.setenv(name, f"/{CANARY}")
    assert run(["segment", str(bundle), "-i", str(scan), "-o", str(folder / f"{CANARY}_o.nii.gz")]) == 3
    assert run(["inspect", str(folder / CANARY)]) == 3
    assert run(["devices", "report", "-o", str(tmp_path / "report.zip"), "--bundle", str(bundle), "--json"]) == 0
    files = read(tmp_path / "report.zip")
    assert [each["command"] for each in json.loads(files["failures.json"])["failures"]] == ["segment", "inspect"]
    said = capfd.readouterr().out.splitlines()[-1]
    assert CANARY not in said + "".join(files) + "".join(files.values())
    assert str(tmp_path) not in said + "".join(files.values())


def test_a_bundle_that_computes_something_else_fails_its_self_test(tiny_bundle, tmp_path, capsys):
    from ..conftest import toy_task, write_bundle

    wrong = write_bundle(tmp_path / "wrong.bedside", toy_task(patch=(16, 16, 16)), golden_shift=500.0)
    assert run(["devices", "report", "-o", str(tmp_path / "report.zip"), "--bundle", str(wrong)]) == 4
    tests = json.loads(read(tmp_path / "report.zip")["self-test.json"])["variants"]
    fp32 = [test for test in tests if test["precision"] == "fp32"]
    assert fp32
    assert not any(test["passed"] for test in fp32)
    assert "of the labels agree" in fp32[0]["reason"]
    assert "the bundle failed its self-test here" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["{", "[]", '{"file": "other"}', '{"patient": "x"}', "[" * 100_000])
def test_what_is_no_probe_is_refused(tmp_path, content):
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(InputError, match=r'probe "p\.json": expected what bedside devices probe'):
        write_support_report(tmp_path / "report.zip", probe=tmp_path / "p.json")
    assert not (tmp_path / "report.zip").exists()


def test_a_wrong_probe_is_refused_before_the_self_tests(tiny_bundle, tmp_path):
    tested: list[int] = []
    with pytest.raises(InputError, match="cannot be read"):
        write_support_report(
            tmp_path / "report.zip", tiny_bundle, tmp_path / "none.json", lambda done, total: tested.append(done)
        )
    assert tested == []


def test_a_probe_is_taken_along_and_one_with_further_fields_is_refused(tmp_path):
    write_probe(tmp_path / "p.json", made_probe())
    write_support_report(tmp_path / "report.zip", probe=tmp_path / "p.json")
    probe = json.loads(read(tmp_path / "report.zip")["probe.json"])
    assert probe["series"][0]["kernels"][0]["kind"] == "conv"
    (tmp_path / "p.json").write_text(json.dumps({**json.loads((tmp_path / "p.json").read_text()), "patient": CANARY}))
    with pytest.raises(InputError, match="unknown field"):
        write_support_report(tmp_path / "other.zip", probe=tmp_path / "p.json")


def test_an_existing_file_is_not_replaced(tmp_path, capsys):
    (tmp_path / "report.zip").write_bytes(b"mine")
    assert run(["devices", "report", "-o", str(tmp_path / "report.zip")]) == 2
    assert (tmp_path / "report.zip").read_bytes() == b"mine"
    assert run(["devices", "report", "-o", str(tmp_path / "report.txt")]) == 2


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ('cannot open "/data/doe.nii" twice', "cannot open … twice"),
        ("in /home/jane doe/x: no", "in …"),
        ("in scans/jane doe/x: no", "in …"),
        (r"C:\\Users\\jane\\x failed", "…"),
        ("plain text, 3 of 4", "plain text, 3 of 4"),
    ],
)
def test_quotes_and_paths_are_left_out(message, kept):
    assert scrubbed(message) == kept
