"""`bedside bundle sign`, and the commands that then trust the key: segment, benchmark, inspect."""

from __future__ import annotations

import json

import nibabel as nib
import pytest
from bedside.cli.main import run as bedside

SEGMENT = ("--engine", "onnxruntime", "--precision", "fp32", "--threads", "1", "-q")


@pytest.fixture
def signed(bundle_path, keys, capsys):
    assert bedside(["bundle", "sign", str(bundle_path), "--key", str(keys.private), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["signer"] == keys.signing.fingerprint
    return bundle_path


def test_a_trusted_bundle_segments_a_scan_and_a_folder(signed, keys, other_keys, scan, tmp_path):
    trust = ["--trust", str(other_keys.public), "--trust", str(keys.public)]
    labels = tmp_path / "labels.nii.gz"
    assert bedside(["segment", str(signed), "-i", str(scan), "-o", str(labels), *trust, *SEGMENT]) == 0
    assert nib.load(labels).shape == (20, 20, 20)
    folder = tmp_path / "scans"
    folder.mkdir()
    scan.rename(folder / scan.name)
    words = ["segment", str(signed), "-i", str(folder), "-o", str(tmp_path / "maps"), *SEGMENT]
    assert bedside([*words, "--trust", str(keys.public.parent)]) == 0
    assert (tmp_path / "maps" / "ct.nii.gz").is_file()


def test_what_is_not_signed_with_a_trusted_key_ends_with_exit_code_4(signed, other_keys, scan, tmp_path, capsys):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "ct.nii.gz").write_bytes(scan.read_bytes())
    for given, out in ((scan, tmp_path / "labels.nii.gz"), (tmp_path / "scans", tmp_path / "maps")):
        words = ["segment", str(signed), "-i", str(given), "-o", str(out), *SEGMENT]
        assert bedside([*words, "--trust", str(other_keys.public)]) == 4
        error = capsys.readouterr().err
        assert '"toy.bedside" was altered or signed with another key' in error
        assert error.count("\n") == 1
        assert not out.exists()


def test_an_unsigned_bundle_is_refused_by_name(bundle_path, keys, scan, tmp_path, capsys):
    words = ["segment", str(bundle_path), "-i", str(scan), "-o", str(tmp_path / "labels.nii.gz"), *SEGMENT]
    assert bedside([*words, "--trust", str(keys.public)]) == 4
    assert '"toy.bedside" is not signed: it has no bundle.sig' in capsys.readouterr().err


def test_a_key_that_is_none_ends_with_exit_code_3(signed, scan, tmp_path, capsys):
    words = ["segment", str(signed), "-i", str(scan), "-o", str(tmp_path / "labels.nii.gz"), *SEGMENT]
    assert bedside([*words, "--trust", str(scan)]) == 3
    assert '"ct.nii.gz": expected one Ed25519 public key' in capsys.readouterr().err
    assert bedside(["bundle", "sign", str(signed), "--key", str(scan)]) == 3


def test_inspect_shows_signature_and_bill_of_materials(signed, keys, capsys):
    assert bedside(["inspect", str(signed)]) == 0
    assert "not compared with a key; --trust does that" in " ".join(capsys.readouterr().out.split())
    assert bedside(["inspect", str(signed), "--trust", str(keys.public), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["signed"], facts["signer"], facts["sbom"]) == (True, keys.signing.fingerprint, None)


def test_the_benchmark_measures_only_what_it_may_trust(signed, other_keys, capsys):
    assert bedside(["benchmark", str(signed), "--trust", str(other_keys.public)]) == 4
    assert "signed with another key" in capsys.readouterr().err
