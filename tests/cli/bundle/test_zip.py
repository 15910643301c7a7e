"""`bedside bundle zip` writes a zip that the other commands take."""

import hashlib
import json

from bedside.cli.main import run as bedside


def test_the_zip_has_the_hash_that_is_printed_and_is_a_bundle(bundle_path, tmp_path, capsys):
    out = tmp_path / "toy.zip"
    assert bedside(["bundle", "zip", str(bundle_path), "-o", str(out), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    content = out.read_bytes()
    assert facts == {"zip": str(out), "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    assert bedside(["inspect", str(out), "-q"]) == 0


def test_a_file_that_is_there_is_replaced_with_force_only(bundle_path, tmp_path, capsys):
    out = tmp_path / "toy.zip"
    out.write_bytes(b"old")
    words = ["bundle", "zip", str(bundle_path), "-o", str(out), "-q"]
    assert bedside(words) == 2
    assert out.read_bytes() == b"old"
    assert '"toy.zip" exists; give --force to replace it' in capsys.readouterr().err
    assert bedside([*words, "--force"]) == 0
    assert out.stat().st_size > 1000


def test_another_ending_is_refused(bundle_path, tmp_path, capsys):
    assert bedside(["bundle", "zip", str(bundle_path), "-o", str(tmp_path / "ct.nii.gz")]) == 2
    assert "expected a name ending in .zip" in capsys.readouterr().err
