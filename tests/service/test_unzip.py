"""Zips of DICOM files: under numbers on the disk, and hostile ones refused before they do harm."""

import io
import stat
import struct
import time
import zipfile
from types import SimpleNamespace

import pytest
from bedside.runtime import InputError
from bedside.service.disk_room import FREE_BYTES
from bedside.service.refusal import RefusedError
from bedside.service.unzip import unzip

from .running import zip_bytes


@pytest.fixture
def unzipped(tmp_path):
    """Unpacks the bytes of a zip; returns the files by name."""

    def unpack(content, most_files=100, most_bytes=2**20):
        archive = tmp_path / "a.zip"
        archive.write_bytes(content)
        unzip(archive, tmp_path / "out", most_files, most_bytes)
        return {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}

    return unpack


def test_names_become_numbers(unzipped):
    found = unzipped(zip_bytes({"Doe^Jane/": b"", "Doe^Jane/1.dcm": b"a", "x/y/z": b"b"}))
    assert found == {"00000.dcm": b"a", "00001.dcm": b"b"}


def test_hidden_files_stay_hidden_and_a_dicomdir_is_left_out(unzipped):
    found = unzipped(zip_bytes({"x/DICOMDIR": b"d", "x/.keep": b"", ".a/1": b"a", "x\\.b": b"b"}))
    assert found == {".00000.dcm": b"", ".00001.dcm": b"a", ".00002.dcm": b"b"}


@pytest.mark.parametrize("name", ["../a", "/etc/a", "a/../../b", "..\\a", "C:\\a", "a/..", "\\\\server\\a"])
def test_a_name_that_leads_out_is_refused(unzipped, tmp_path, name):
    with pytest.raises(InputError, match="leads out"):
        unzipped(zip_bytes({"a.dcm": b"a", name: b"b"}))
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("a.zip", "out")] == []


def test_a_link_is_refused(unzipped):
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        info = zipfile.ZipInfo("a")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(InputError, match="link"):
        unzipped(buffer.getvalue())


def test_too_many_files_are_refused(unzipped):
    content = zip_bytes((str(number), b"") for number in range(101))
    with pytest.raises(InputError, match="101 files, 100 are allowed"):
        unzipped(content)


def test_ten_million_entries_are_refused_before_they_are_read(unzipped):
    table = b"PK\x01\x02" + bytes(42)
    content = b"PK\x03\x04" + bytes(26) + table * 200_000
    content += struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, len(table) * 200_000, 30, 0)
    began = time.process_time()
    with pytest.raises(InputError, match="table of contents"):
        unzipped(content)
    assert time.process_time() - began < 1


def test_a_bomb_is_refused_by_what_it_declares(unzipped):
    with pytest.raises(InputError, match="unpacks to more than 1 MiB"):
        unzipped(zip_bytes({"a": bytes(2**20 + 1)}))


def test_a_bomb_is_refused_by_its_expansion(tmp_path, monkeypatch):
    monkeypatch.setattr("bedside.service.unzip._ALWAYS_ALLOWED", 1000)
    (tmp_path / "a.zip").write_bytes(zip_bytes({"a": bytes(2**20)}))
    with pytest.raises(InputError, match="unpacks to more than"):
        unzip(tmp_path / "a.zip", tmp_path / "out", 10, 2**30)


def test_what_the_disk_has_no_room_for_is_refused_before_anything_is_written(unzipped, tmp_path, monkeypatch):
    free = SimpleNamespace(free=FREE_BYTES + 69_999)
    monkeypatch.setattr("bedside.service.disk_room.shutil.disk_usage", lambda folder: free)
    with pytest.raises(RefusedError, match="no room on the disk") as refused:
        unzipped(zip_bytes({"a": bytes(20_000), "b": bytes(50_000)}))
    assert refused.value.status == 503
    assert list((tmp_path / "out").iterdir()) == []
    free.free += 1
    (tmp_path / "out").rmdir()
    assert len(unzipped(zip_bytes({"a": bytes(20_000), "b": bytes(50_000)}))) == 2


def test_a_file_with_more_bytes_than_it_declares_is_refused(unzipped):
    content = bytearray(zip_bytes({"a": bytes(5000)}))
    for place in (content.index(b"PK\x03\x04") + 22, content.index(b"PK\x01\x02") + 24):
        struct.pack_into("<L", content, place, 10)
    with pytest.raises(InputError, match="damaged"):
        unzipped(bytes(content))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_than_deflate_are_refused(unzipped, method):
    with pytest.raises(InputError, match="another method"):
        unzipped(zip_bytes({"a": b"a" * 100}, method))


def test_an_encrypted_file_is_refused(unzipped):
    content = bytearray(zip_bytes({"a": b"a"}, zipfile.ZIP_STORED))
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + place] |= 1
    with pytest.raises(InputError, match="encrypted"):
        unzipped(bytes(content))


def test_every_cut_of_a_zip_is_refused(unzipped):
    content = zip_bytes({"a": b"abc" * 50})
    with pytest.raises(InputError, match="damaged"):
        unzipped(content[: len(content) // 2])
