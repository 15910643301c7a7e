"""SHA-256 of a file, in blocks."""

from bedside.runtime.files.hashing import file_sha256


def test_the_digest_of_abc_is_that_of_fips_180(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_of_several_blocks_is_hashed_to_its_end(tmp_path):
    import hashlib

    content = bytes(range(256)) * 10_000  # 2.5 MB
    (tmp_path / "a").write_bytes(content)
    assert file_sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()
