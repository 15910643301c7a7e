"""The same bundle gives the same zip, wherever and whenever it is made."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from bedside.runtime import Bundle, BundleError, ResourceError, UsageError, sign_bundle, write_manifest, zip_bundle

ZIP = "import sys; from bedside.runtime import zip_bundle; zip_bundle(*sys.argv[1:])"


def copied_in_reverse(bundle: Path, target: Path, mode: int, time: int) -> Path:
    """Copies a bundle with its files in the opposite order of creation, and with other permissions and times."""
    for path in sorted(bundle.rglob("*"), reverse=True):
        if path.is_file():
            copy = target / path.relative_to(bundle)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
            copy.chmod(mode)
            os.utime(copy, (time, time))
    return target


def test_two_processes_with_other_times_permissions_and_locales_write_the_same_bytes(bundle_path, keys, tmp_path):
    sign_bundle(bundle_path, keys.signing)
    copy = copied_in_reverse(bundle_path, tmp_path / "elsewhere" / "renamed", 0o600, 1_000_000_000)
    hashes = set()
    for number, (folder, umask, given) in enumerate(
        (
            (bundle_path, 0o022, {"LC_ALL": "C", "TZ": "UTC"}),
            (copy, 0o077, {"LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7", "SOURCE_DATE_EPOCH": "9"}),
        )
    ):
        out = tmp_path / f"{number}.zip"
        environment = {**os.environ, **given}
        subprocess.run([sys.executable, "-c", ZIP, folder, out], check=True, umask=umask, env=environment)
        hashes.add(hashlib.sha256(out.read_bytes()).hexdigest())
    assert len(hashes) == 1


def test_the_zip_holds_sorted_plain_files_of_1980_and_opens_signed(bundle_path, keys, tmp_path):
    sign_bundle(bundle_path, keys.signing)
    out = zip_bundle(bundle_path, tmp_path / "toy.zip")
    with zipfile.ZipFile(out) as archive:
        members = archive.infolist()
    assert [member.filename for member in members] == [
        "README.md", "bundle.json", "bundle.sha256", "bundle.sig", "golden_input.npy", "golden_labels.npy",
        "golden_output.npy", "model.fp32.onnx", "model.int8.onnx",
    ]  # fmt: skip
    assert {member.date_time for member in members} == {(1980, 1, 1, 0, 0, 0)}
    assert {oct(member.external_attr >> 16) for member in members} == {"0o100644"}
    assert {(member.create_system, member.compress_type) for member in members} == {(3, zipfile.ZIP_DEFLATED)}
    with Bundle.open(out, trust=keys.public) as bundle:
        assert bundle.read("README.md") == b"# Toy\n"


def with_zeros(bundle: Path, size: int) -> Path:
    """Adds a file of zeros to a bundle; it shrinks to a thousandth."""
    with Bundle.open(bundle) as opened:
        manifest = opened.manifest
    (bundle / "zeros.txt").write_bytes(bytes(size))
    write_manifest(bundle, manifest)
    return bundle


@pytest.mark.parametrize(
    ("megabytes", "method"), [(15, zipfile.ZIP_DEFLATED), (17, zipfile.ZIP_STORED)]
)  # 16 MiB may always be unpacked
def test_what_would_look_like_a_bomb_is_stored_so_that_the_zip_opens(bundle_path, tmp_path, megabytes, method):
    out = zip_bundle(with_zeros(bundle_path, megabytes * 2**20), tmp_path / "toy.zip")
    with zipfile.ZipFile(out) as archive:
        methods = {member.filename: member.compress_type for member in archive.infolist()}
    assert (methods["zeros.txt"], methods["README.md"]) == (method, zipfile.ZIP_DEFLATED)
    with Bundle.open(out) as bundle:
        assert bundle.read("zeros.txt") == bytes(megabytes * 2**20)


def test_stored_it_holds_every_file_as_it_is(bundle_path, tmp_path):
    deflated, plain = (zip_bundle(bundle_path, tmp_path / f"{stored}.zip", stored=stored) for stored in (False, True))
    content = plain.read_bytes()
    assert all(path.read_bytes() in content for path in bundle_path.iterdir())
    assert deflated.stat().st_size < 0.8 * plain.stat().st_size
    with Bundle.open(deflated) as first, Bundle.open(plain) as second:
        assert first.sha256 == second.sha256
    assert zip_bundle(deflated, tmp_path / "again.zip", stored=True).read_bytes() == content


def test_zipping_a_zip_gives_the_zip_again_also_onto_itself(bundle_path, tmp_path):
    content = zip_bundle(bundle_path, tmp_path / "toy.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "other.zip", "w", zipfile.ZIP_STORED) as archive:
        for path in bundle_path.iterdir():
            archive.write(path, f"toy.bedside/{path.name}")
    assert zip_bundle(tmp_path / "other.zip", tmp_path / "other.zip").read_bytes() == content


def test_a_damaged_bundle_leaves_an_earlier_zip_as_it_was(bundle_path, tmp_path):
    out = zip_bundle(bundle_path, tmp_path / "toy.zip")
    before = out.read_bytes()
    (bundle_path / "README.md").write_text("# Toz\n")
    with pytest.raises(BundleError, match=r"README\.md does not have the SHA-256"):
        zip_bundle(bundle_path, out)
    assert out.read_bytes() == before


def test_a_zip_does_not_go_into_its_own_bundle(bundle_path):
    before = sorted(bundle_path.iterdir())
    with pytest.raises(UsageError, match=r'"toy\.zip" lies in the bundle itself; choose a path beside it'):
        zip_bundle(bundle_path, bundle_path / "toy.zip")
    assert sorted(bundle_path.iterdir()) == before


def test_a_place_that_cannot_be_written_is_refused(bundle_path, tmp_path, refusals):
    with pytest.raises(ResourceError, match="cannot be written"):
        zip_bundle(bundle_path, tmp_path / "none" / "toy.zip")
    assert refusals(zip_bundle, {"path": bundle_path, "out": tmp_path / "toy.zip"}, ["path"]) == {"path"}
