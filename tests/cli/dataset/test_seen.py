"""`bedside dataset seen`: which scans a network has learned from, what a person and what a machine reads."""

import json

import pytest
from bedside.cli.main import run
from bedside.runtime.bundles.bundle import Bundle
from bedside.runtime.bundles.manifest_writer import write_manifest
from bedside.runtime.files.hashing import file_sha256
from bedside.training.runs.learned_from import LearnedFrom


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.nii.gz").write_bytes(name.encode())
    return folder


@pytest.fixture
def knowing(bundle_path):
    """Returns a bundle that records some scans."""

    def record(learned):
        with Bundle.open(bundle_path) as bundle:
            manifest = bundle.manifest
        learned.save(bundle_path)
        write_manifest(bundle_path, manifest)
        return str(bundle_path)

    return record


def test_seen_files_are_a_table_and_the_exit_code_is_6(scans, knowing, capfd):
    bundle = knowing(LearnedFrom(scans=frozenset({file_sha256(scans / "b.nii.gz")}), knows_all=True))
    assert run(["dataset", "seen", str(scans), "--by", bundle]) == 6
    shown = capfd.readouterr().out
    assert "b.nii.gz" in shown
    assert "a.nii.gz" not in shown
    assert "1 of 2 files were seen: their Dice says nothing about new scans" in shown
    assert run(["dataset", "seen", str(scans), "--by", bundle, "--json"]) == 6
    told = capfd.readouterr()
    assert json.loads(told.out) == {
        "files": 2,
        "networks": ["toy.bedside"],
        "seen": [{"file": "b.nii.gz", "taught": ["toy.bedside"], "chose": []}],
        "incomplete": [],
        "exit_code": 6,
    }
    assert "1 of 2 files were seen" in told.err


def test_files_that_no_network_has_seen(scans, knowing, capfd):
    assert run(["dataset", "seen", str(scans), "--by", knowing(LearnedFrom(knows_all=True))]) == 0
    assert "none of 2 files is among those that toy.bedside records" in capfd.readouterr().out


def test_a_network_that_does_not_record_all_leaves_the_doubt(scans, bundle_path, capfd):
    assert run(["dataset", "seen", str(scans), "--by", str(bundle_path)]) == 6
    shown = " ".join(capfd.readouterr().out.split())
    assert "toy.bedside does not record every scan that it or what taught it learned from: more may have" in shown


def test_what_is_no_network_is_refused(scans, capfd):
    assert run(["dataset", "seen", str(scans), "--by", str(scans)]) == 3
    assert "expected a run directory or a bundle" in capfd.readouterr().err
    assert run(["dataset", "seen", str(scans)]) == 2
