"""SHA-256 of a file, in blocks."""

import pytest
from bedside.runtime.files.hashing import file_sha256, read_hashed


def test_the_digest_of_abc_is_that_of_fips_180(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_of_several_blocks_is_hashed_to_its_end(tmp_path):
    import hashlib

    content = bytes(range(256)) * 10_000  # 2.5 MB
    (tmp_path / "a").write_bytes(content)
    assert file_sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_a_file_that_is_replaced_while_it_is_read_is_read_again(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    seen = []

    def read():
        seen.append((tmp_path / "a").read_bytes())
        if len(seen) == 1:
            (tmp_path / "new").write_bytes(b"abc")
            (tmp_path / "new").replace(tmp_path / "a")
        return seen[-1]

    content, sha256 = read_hashed(tmp_path / "a", read)
    assert content == b"abc"
    assert sha256 == file_sha256(tmp_path / "a")
    assert seen == [b"old", b"abc"]


def test_a_file_that_is_not_there_is_told_of_by_its_reader(tmp_path):
    def read():
        raise ValueError("train first")

    with pytest.raises(ValueError, match="train first"):
        read_hashed(tmp_path / "a", read)
