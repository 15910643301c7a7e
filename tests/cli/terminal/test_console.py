import io
import re

import pytest
from bedside.cli.terminal.console import Console


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


def test_a_log_file_gets_a_line_each_tenth_of_the_way_with_the_time_left(clock, capsys):
    steps(clock, 2, first=1, last=20, total=100)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "training: 1 of 100, 0 s, loss 0.500",
        "training: 10 of 100, 18 s, 180 s left, loss 0.500",
        "training: 20 of 100, 38 s, 160 s left, loss 0.500",
    ]
