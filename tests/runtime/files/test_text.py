"""`read_utf8`: what editors put before the text is read past, and what is no UTF-8 is refused in one line."""

import codecs
import os
import subprocess
import sys

import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.files.text import native_name, read_utf8
from bedside.runtime.task_presets import load_task

NAMED = 'list "a.json"'


def test_a_byte_order_mark_is_read_past(tmp_path):
    (tmp_path / "a.json").write_bytes(codecs.BOM_UTF8 + '{"ä": 1}'.encode())
    assert read_utf8(tmp_path / "a.json", NAMED) == '{"ä": 1}'


def test_text_without_a_mark_is_read_as_it_is_line_ends_included(tmp_path):
    (tmp_path / "a.json").write_bytes(b"a\r\nb\n")
    assert read_utf8(tmp_path / "a.json", NAMED) == "a\r\nb\n"


@pytest.mark.parametrize(
    ("content", "got"),
    [
        ("x = 1".encode("utf-16"), "UTF-16; save it"),
        (codecs.BOM_UTF16_BE + "x = 1".encode("utf-16-be"), "UTF-16; save it"),
        ("x = 1".encode("utf-16-le"), "UTF-16; save it"),
        ("x = 1".encode("utf-32"), "UTF-32"),
        ("name = 'é'".encode("latin-1"), r"another encoding \(byte 8\)"),
        ("{ }".encode("utf-16-be"), "UTF-16; save it"),
        (b"\x1f\x8b\x08\x00zip", "a file that is no text; choose another file$"),
        (b"PK\x03\x04\x14\x00\x00\x00zip", "a file that is no text; choose another file$"),
        (b"\x5c\x01\x00\x00header", "a file that is no text; choose another file$"),
    ],
)
def test_another_encoding_is_refused_by_name_in_one_line(tmp_path, content, got):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=rf'^list "a\.json" is not valid: expected UTF-8 text, got {got}') as caught:
        read_utf8(tmp_path / "a.json", NAMED)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(InputError, match=r'^list "a\.json" cannot be read: No such file'):
        read_utf8(tmp_path / "a.json", NAMED)


def test_a_task_file_may_begin_with_a_byte_order_mark(tmp_path, cube_task):
    (tmp_path / "task.toml").write_bytes(codecs.BOM_UTF8 + cube_task.encode())
    assert load_task(tmp_path / "task.toml").name == "cube"


def test_a_task_file_in_utf_16_is_refused_as_such(tmp_path, cube_task):
    (tmp_path / "task.toml").write_bytes(cube_task.encode("utf-16"))
    with pytest.raises(InputError, match=r'task file "task\.toml" is not valid: expected UTF-8 text, got UTF-16'):
        load_task(tmp_path / "task.toml")


def test_a_listed_name_opens_its_file_in_a_locale_that_cannot_encode_it(tmp_path):
    (tmp_path / "ü.nii.gz").touch()
    code = "from bedside.runtime.files.text import native_name; print(len(open(native_name('\\xfc.nii.gz')).read()))"
    environment = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


@pytest.mark.parametrize("name", ["a.nii.gz", "ü.nii.gz", "日本.nii"])
def test_a_listed_name_that_the_locale_can_encode_stays(name):
    assert native_name(name) == name
