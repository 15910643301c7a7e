"""Files of /proc and /sys are read where they exist; what is no number is None."""

import pytest
from bedside.runtime.files.system_files import is_file, is_folder, read_int, read_text, whole_number


def test_text_is_read_without_trailing_nul_and_line_end(tmp_path):
    (tmp_path / "model").write_bytes(b"Jetson Orin Nano\0\n")
    assert read_text(tmp_path / "model") == "Jetson Orin Nano"
    assert read_text(tmp_path / "absent") == ""


@pytest.mark.parametrize(("content", "number"), [("42\n", 42), ("-1", -1), ("max", None), ("", None)])
def test_integers(tmp_path, content, number):
    (tmp_path / "limit").write_text(content)
    assert read_int(tmp_path / "limit") == number


@pytest.mark.parametrize(("text", "number"), [("0", 0), (str(2**64 - 1), 2**64 - 1), ("-1", None), ("\u0663", None)])
def test_whole_numbers_are_those_of_a_counter(text, number):
    assert whole_number(text) == number


def test_a_name_that_no_file_system_allows_is_neither_file_nor_folder(tmp_path):
    assert (is_file(tmp_path / "a\0b"), is_folder(tmp_path / "a\0b")) == (False, False)
    assert is_folder(tmp_path)
