import io
import json
import re

import pytest
from bedside.cli.terminal.console import Console
from bedside.cli.terminal.readable import READABLE, register
from bedside.runtime import ResourceError
from rich.table import Table


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when a test says so."""
    now = [1000.0]
    monkeypatch.setattr("rich.console.monotonic", lambda: now[0])
    monkeypatch.setattr("bedside.cli.terminal.console.time.monotonic", lambda: now[0])
    return now


def steps(clock, seconds, *, first, last, total):
    with Console().progress("training") as advance:
        for done in range(first, last + 1):
            clock[0] += seconds
            advance(done, total, "loss 0.500")


def test_the_bar_tells_the_time_left_though_a_step_takes_a_minute(clock, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    steps(clock, 60, first=1, last=10, total=100)
    assert "1:30:00 left loss 0.500" in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]| +", " ", terminal.getvalue()).replace(
        "  ", " "
    )


def test_a_resumed_bar_reckons_with_its_own_steps_only(clock, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    steps(clock, 60, first=901, last=910, total=1000)
    assert "1:30:00 left" in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]| +", " ", terminal.getvalue()).replace("  ", " ")


def test_the_bar_shows_brackets_of_a_name_as_they_are(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    with Console().progress("a[/b]") as advance:
        advance(1, 2, "ct [left].nii")
    assert "a[/b]" in terminal.getvalue()
    assert "ct [left].nii" in terminal.getvalue()


def test_a_log_file_gets_a_line_each_tenth_of_the_way_with_the_time_left(clock, capsys):
    steps(clock, 2, first=1, last=20, total=100)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "training: 1 of 100, 0 s, loss 0.500",
        "training: 10 of 100, 18 s, 180 s left, loss 0.500",
        "training: 20 of 100, 38 s, 160 s left, loss 0.500",
    ]


class Stream(io.TextIOWrapper):
    """A stdout in an encoding, read back as bytes."""

    def __init__(self, encoding):
        super().__init__(io.BytesIO(), encoding=encoding, errors=READABLE)

    def bytes(self):
        self.flush()
        return self.buffer.getvalue()


@pytest.fixture
def stdout(monkeypatch):
    """Puts a stream of an encoding in the place of stdout."""
    register()

    def put(encoding):
        stream = Stream(encoding)
        monkeypatch.setattr("sys.stdout", stream)
        return stream

    return put


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp1252"])
@pytest.mark.parametrize("text", ["Knochen ≥ 1 cm × 2", "кость", "ungültig \udcff", "…"])
def test_json_loses_nothing_in_any_encoding(stdout, encoding, text):
    stream = stdout(encoding)
    Console(json=True).emit({"label": text})
    assert json.loads(stream.bytes().decode("utf-8")) == {"label": text}


def test_columns_stay_in_line_where_signs_become_longer(stdout):
    stream = stdout("ascii")
    table = Table("range", "mean ± std")
    table.add_row("1…2", "3.0 ± 1.0")
    table.add_row("1 to 2", "3")
    Console().show(table)
    lines = stream.bytes().decode("ascii").splitlines()
    assert "3.0 +- 1.0" in lines[3]
    assert len({len(line.rstrip()) for line in lines}) == 1


@pytest.mark.parametrize("columns", [0, 1, 20])
def test_a_narrow_terminal_loses_no_figure(stdout, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = stdout("utf-8")
    table = Table("organ", *(f"figure {number}" for number in range(5)))
    table.add_row("liver", *(f"0.{number}{number}{number}{number}" for number in range(5)))
    Console().show(table)
    assert all(figure in stream.bytes().decode() for figure in ("0.0000", "0.2222", "0.4444"))


class Full(io.StringIO):
    def write(self, text):
        raise OSError(28, "No space left on device", "stdout")


@pytest.mark.parametrize("json_wanted", [True, False])
def test_a_stdout_that_fails_is_told_with_what_was_written(monkeypatch, json_wanted):
    monkeypatch.setattr("sys.stdout", Full())
    console = Console(json=json_wanted)
    console.finished('the label map "a.nii.gz" is written')
    with pytest.raises(ResourceError) as caught:
        console.emit({}) if json_wanted else console.show("done")
    assert str(caught.value) == (
        'the label map "a.nii.gz" is written; only the result could not be printed: stdout cannot be written '
        "(No space left on device); redirect it to a disk with free space"
    )
