import io

import pytest
from bedside.cli.terminal.readable import READABLE, register
from bedside.cli.terminal.result_console import ResultConsole
from rich.table import Table


@pytest.fixture
def printed(monkeypatch):
    """Prints a table of two columns to a stdout of some encoding and width; returns its lines."""
    register()

    def lines(encoding, columns):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=READABLE)
        monkeypatch.setattr("sys.stdout", stream)
        monkeypatch.setenv("COLUMNS", str(columns))
        table = Table("figure", "value")
        table.add_row("mean ± std", "12345.67")
        table.add_row("x" * 50, "123.4")
        ResultConsole().print(table)
        stream.flush()
        return stream.buffer.getvalue().decode(encoding).splitlines()

    return lines


@pytest.mark.parametrize("columns", [10, 40, 80, 200])
def test_no_figure_is_lost_however_narrow_the_terminal_is(printed, columns):
    text = "\n".join(printed("utf-8", columns))
    assert "12345.67" in text
    assert "x" * 50 in text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_columns_stay_aligned_in_every_encoding(printed, encoding):
    lines = printed(encoding, 80)
    assert len({len(line) for line in lines}) == 1
    assert any(("+-" if encoding == "ascii" else "±") in line for line in lines)


def test_names_with_brackets_and_colons_are_shown_as_they_are(capsys):
    table = Table("organ [ml]", title="of [b] :cat:", caption="in [/b]")
    for name in ("kidney [left]", "kidney [right]", "a[/b]"):
        table.add_row(name)
    ResultConsole().print(table, "liver [red]")
    text = capsys.readouterr().out
    for name in ("organ [ml]", "of [b] :cat:", "in [/b]", "kidney [left]", "kidney [right]", "a[/b]", "liver [red]"):
        assert name in text
