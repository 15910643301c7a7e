"""A zipped bundle is the same as its folder, and no zip writes outside its own."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from bedside.runtime import Bundle, BundleError
from bedside.runtime.bundles import bundle_zip
from bedside.runtime.bundles.bundle_zip import extract
from bedside.runtime.bundles.manifest import CHECKSUM_NAME, MANIFEST_NAME


def zipped(bundle: Path, target: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(bundle.rglob("*")):
            archive.write(path, prefix + path.relative_to(bundle).as_posix())
    return target


@pytest.mark.parametrize("prefix", ["", "toy.bedside/"])
def test_a_zip_holds_the_same_and_leaves_nothing_behind(bundle_path, tmp_path, prefix):
    with Bundle.open(zipped(bundle_path, tmp_path / "toy.zip", prefix)) as bundle:
        unpacked = bundle.file("README.md")
        assert unpacked.read_text() == "# Toy\n"
    assert not unpacked.parent.exists()


def test_what_the_finder_of_macos_adds_to_a_zip_is_left_out(bundle_path, tmp_path):
    archive = zipped(bundle_path, tmp_path / "toy.zip", "toy.bedside/")
    with zipfile.ZipFile(archive, "a") as file:
        for name in ("toy.bedside/.DS_Store", "__MACOSX/._toy.bedside", "__MACOSX/toy.bedside/._bundle.json"):
            file.writestr(name, b"\0\5\x16\7")
    with Bundle.open(archive) as bundle:
        assert bundle.read("README.md") == b"# Toy\n"


def test_flipped_bits_in_a_zip_are_refused_or_change_nothing(bundle_path, tmp_path):
    archive = zipped(bundle_path, tmp_path / "toy.zip")
    content = archive.read_bytes()
    original = {path.name: path.read_bytes() for path in bundle_path.iterdir()}
    refused = 0
    for position in np.random.default_rng(9).integers(0, len(content) * 8, 300):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << (position % 8)
        archive.write_bytes(flipped)
        try:
            with Bundle.open(archive) as bundle:
                assert {name: bundle.file(name).read_bytes() for name in bundle.manifest.files} == {
                    name: data for name, data in original.items() if name not in (MANIFEST_NAME, CHECKSUM_NAME)
                }
        except BundleError:
            refused += 1
    assert refused > 200


@pytest.mark.parametrize("name", ["../slip.txt", "/slip.txt", "a/../../slip.txt", "..\\slip.txt", "C:\\slip.txt"])
def test_a_zip_member_that_leads_out_is_refused_and_nothing_is_written(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "slip.zip", "w") as archive:
        archive.writestr(name, "x")
    target = tmp_path / "inner" / "target"
    target.mkdir(parents=True)
    with pytest.raises(BundleError, match="leads out of the bundle"):
        extract(tmp_path / "slip.zip", target, 1000)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["inner", "slip.zip", "target"]


def with_unicode_path(archive: zipfile.ZipFile, name: str, unicode_path: str) -> None:
    """Adds a member with a Unicode Path field (0x7075), from which Python 3.12 and later take its name."""
    member = zipfile.ZipInfo(name)
    field = struct.pack("<BL", 1, zlib.crc32(name.encode())) + unicode_path.encode()
    member.extra = struct.pack("<HH", 0x7075, len(field)) + field
    archive.writestr(member, "x")


@pytest.fixture
def unicode_paths(monkeypatch):
    """Makes `zipfile` take names from the Unicode Path field in any version of Python, as they stand."""
    contents = zipfile.ZipFile.infolist

    def infolist(self):
        for member in contents(self):
            if member.extra[:2] == b"\x75\x70":
                member.filename = member.extra[9:].decode()
        return contents(self)

    monkeypatch.setattr(zipfile.ZipFile, "infolist", infolist)


@pytest.mark.parametrize("path", ["../slip.txt", "{}/slip.txt", "README.txt"])
@pytest.mark.usefixtures("unicode_paths")
def test_a_zip_member_of_two_names_is_refused_and_nothing_is_written(tmp_path, path):
    with zipfile.ZipFile(tmp_path / "slip.zip", "w") as archive:
        with_unicode_path(archive, "readme.txt", path.format(tmp_path))
    target = tmp_path / "inner" / "target"
    target.mkdir(parents=True)
    with pytest.raises(BundleError, match=r'"readme.txt" in the zip leads out of the bundle'):
        extract(tmp_path / "slip.zip", target, 1000)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["inner", "slip.zip", "target"]


@pytest.mark.parametrize("name", ["../slip.txt", "{}/slip.txt"])
def test_a_name_that_the_checks_overlook_is_not_written_outside(tmp_path, monkeypatch, name):
    monkeypatch.setattr(bundle_zip, "is_safe_name", lambda _: True)
    with zipfile.ZipFile(tmp_path / "slip.zip", "w") as archive:
        archive.writestr(name.format(tmp_path), "x")
    (tmp_path / "target").mkdir()
    with pytest.raises(BundleError, match="leads out of the bundle"):
        extract(tmp_path / "slip.zip", tmp_path / "target", 1000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["slip.zip", "target"]


def test_a_link_in_a_zip_is_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(BundleError, match='"link" in the zip is a link'):
        Bundle.open(tmp_path / "link.zip")


def test_a_zip_that_says_it_is_too_large_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "big.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.bin", bytes(2000))
    (tmp_path / "target").mkdir()
    with pytest.raises(BundleError, match="more than 1000 bytes"):
        extract(tmp_path / "big.zip", tmp_path / "target", 1000)


def test_a_zip_that_lies_about_a_size_is_refused(tmp_path):
    path = tmp_path / "lie.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.bin", bytes(5_000_000))
    lie = path.read_bytes().replace((5_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(lie)
    (tmp_path / "target").mkdir()
    with pytest.raises(BundleError):
        extract(path, tmp_path / "target", 1000)
    assert sum(file.stat().st_size for file in (tmp_path / "target").iterdir()) <= 1000


@pytest.mark.parametrize("names", [("A.txt", "a.txt"), ("a", "a/b.txt")])
def test_zip_members_in_each_others_way_are_refused(tmp_path, names):
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    (tmp_path / "target").mkdir()
    with pytest.raises(BundleError):
        extract(tmp_path / "twice.zip", tmp_path / "target", 1000)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a zip" * 100])
def test_what_is_not_a_zip_is_refused(tmp_path, content):
    (tmp_path / "x.bedside").write_bytes(content)
    with pytest.raises(BundleError, match=r'"x.bedside": expected a bundle, got no zip .+; copy it again'):
        Bundle.open(tmp_path / "x.bedside")
