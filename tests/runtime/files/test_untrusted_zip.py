"""Zips that lie about themselves."""

from __future__ import annotations

import zipfile

import pytest
from bedside.runtime.files.untrusted_zip import open_zip, unpack_member


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "some.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("a", "b"):
            file.writestr(name, name.encode() * 3_000_000)
    return path


def test_files_are_unpacked_in_blocks(archive, tmp_path):
    with open_zip(archive, 2**20, lambda size: MemoryError()) as source:
        unpack_member(source, source.getinfo("b"), tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"b" * 3_000_000


def test_a_table_of_contents_that_is_too_large_is_refused_with_its_size(archive):
    with pytest.raises(ValueError, match="94"), open_zip(archive, 93, lambda size: ValueError(size)):  # 47 a file
        pass
    with open_zip(archive, 94, lambda size: ValueError(size)) as source:
        assert source.namelist() == ["a", "b"]


def test_no_more_bytes_are_unpacked_than_a_file_declares(archive, tmp_path):
    with open_zip(archive, 2**20, lambda size: MemoryError()) as source:
        member = source.getinfo("a")
        member.file_size = 2_000_000  # of 3,000,000
        with pytest.raises(zipfile.BadZipFile, match="CRC"):
            unpack_member(source, member, tmp_path / "a")
    assert (tmp_path / "a").stat().st_size <= 2_000_000


def test_nothing_is_overwritten(archive, tmp_path):
    (tmp_path / "a").write_bytes(b"mine")
    with open_zip(archive, 2**20, lambda size: MemoryError()) as source, pytest.raises(FileExistsError):
        unpack_member(source, source.getinfo("a"), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"mine"
