"""What becomes of a process whose streams are closed, without a reader, on a full disk or not UTF-8."""

import fcntl
import os
import subprocess
import sys

import pytest
from bedside.cli.terminal.streams import bound_columns

START = "import os, sys; from bedside.cli.terminal.streams import prepare_streams; prepare_streams()\n"
SIGNS = "3 × 3 mm – −1…1 ±2 é \udcff"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")


def child(code, shell='exec "$@"', **options):
    words = ["sh", "-c", shell, "sh", sys.executable, "-c", START + code]
    return subprocess.run(words, capture_output=True, timeout=60, **options)


@pytest.mark.parametrize("closed", ["0<&-", ">&-", "2>&-", "0<&- >&- 2>&-"])
def test_a_file_never_gets_the_descriptor_of_a_closed_stream(tmp_path, closed):
    code = f"""
with open({str(tmp_path / "labels")!r}, "wb"):
    os.write(1, b"stray"), os.write(2, b"stray")
print("out"), print("err", file=sys.stderr), sys.exit(sys.stdin.read() != "")
"""
    done = child(code, f'exec "$@" {closed}', stdin=subprocess.DEVNULL)
    assert done.returncode == 0
    assert (tmp_path / "labels").read_bytes() == b""


def test_what_is_left_of_the_streams_is_used_as_before():
    done = child("print('out'); print('err', file=sys.stderr)", 'exec "$@" 0<&-')
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")
    assert child("print('err', file=sys.stderr)", 'exec "$@" 2>&-').stdout == b""


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_reader_that_is_gone_is_passed_over(name):
    reading, writing = os.pipe()
    os.close(reading)
    code = f"[print('x' * 9999, file=sys.{name}, flush=True) for _ in range(20)]"
    assert subprocess.run([sys.executable, "-c", START + code], **{name: writing}).returncode == 0
    os.close(writing)


def test_a_terminal_that_was_closed_is_passed_over():
    terminal, end = os.openpty()
    os.close(terminal)
    code = "print('x', flush=True); print('y', file=sys.stderr)"
    assert subprocess.run([sys.executable, "-c", START + code], stdout=end, stderr=end).returncode == 0
    os.close(end)


@LINUX
def test_a_full_disk_under_stdout_is_an_error_once_and_names_the_stream():
    code = """
try:
    print('x', flush=True)
except OSError as error:
    print(error.filename, error.strerror, file=sys.stderr)
print('y', flush=True)
"""
    done = child(code, 'exec "$@" >/dev/full')
    assert (done.returncode, done.stderr) == (0, b"stdout No space left on device\n")


@LINUX
def test_a_full_disk_under_stderr_is_passed_over():
    assert child("print('x' * 99999, file=sys.stderr); print('y')", 'exec "$@" 2>/dev/full').stdout == b"y\n"


def test_a_pipe_that_does_not_wait_gets_everything():
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETFL, os.O_NONBLOCK)
    with subprocess.Popen([sys.executable, "-c", START + "print('x' * 1_000_000)"], stdout=writing) as process:
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            content = pipe.read()
    assert (process.returncode, len(content)) == (0, 1_000_001)


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii", rb"3 x 3 mm - -1...1 +-2 \xe9 \udcff"),
        ("latin-1", b"3 \xd7 3 mm - -1...1 \xb12 \xe9 \\udcff"),
        ("cp1252", b"3 \xd7 3 mm \x96 -1\x851 \xb12 \xe9 \\udcff"),
        ("utf-8", "3 × 3 mm – −1…1 ±2 é ".encode() + rb"\udcff"),
    ],
)
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_signs_that_the_encoding_lacks_are_readable(name, encoding, expected):
    code = f"print({SIGNS!a}, file=sys.{name})"  # in ASCII, as the caller's locale may be
    done = child(code, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert getattr(done, name) == expected + b"\n"


def test_unbuffered_output_stays_unbuffered():
    done = child("print(sys.stdout.write_through, end='')", env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert done.stdout == b"True"


@pytest.mark.parametrize(
    ("given", "used"),
    [("0", "80"), ("20", "80"), ("-3", "80"), ("120", "120"), ("99999", "1000"), ("many", None), (None, None)],
)
def test_columns_are_those_of_a_terminal(monkeypatch, given, used):
    monkeypatch.setenv("COLUMNS", given or "")
    if given is None:
        monkeypatch.delenv("COLUMNS")
    bound_columns()
    assert os.environ.get("COLUMNS") == used
