"""TOML files are read, or refused with their kind and name."""

import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.files.toml import read_toml


def test_a_byte_order_mark_is_ignored(tmp_path):
    (tmp_path / "a.toml").write_bytes(b'\xef\xbb\xbfname = "liver"')
    assert read_toml(tmp_path / "a.toml", "task file") == {"name": "liver"}


@pytest.mark.parametrize("content", [b"name =", b"\xff\xfe", b"a = " + b"[" * 5000, b"a = " + b"1" * 5000])
def test_what_is_no_toml_is_refused_by_name(tmp_path, content):
    (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(InputError, match=r'task file "a\.toml" is not valid'):
        read_toml(tmp_path / "a.toml", "task file")


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r'task file "b\.toml" cannot be read'):
        read_toml(tmp_path / "b.toml", "task file")
