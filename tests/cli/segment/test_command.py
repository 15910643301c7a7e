"""Options of `bedside segment` that exclude each other or the scan are refused before anything is loaded."""

from __future__ import annotations

import pytest
import typer
from bedside.cli.options.cluster import ClusterOptions
from bedside.cli.options.command import typer_function
from bedside.cli.options.postprocessing import PostprocessingOptions
from bedside.cli.segment.command import Segment
from bedside.cli.terminal.console import Console
from bedside.runtime import UsageError
from typer.testing import CliRunner

app = typer.Typer()
app.command()(typer_function(Segment))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "labels.png"], "expected a name ending in .nii"),
        (["-o", "ct.nii.gz"], "-i and -o are the same file"),
        (["-o", "labels.nii.gz", "--use-sform", "--use-qform"], "exclude each other"),
        (["-o", "labels.nii.gz", "--overlap", "1.5"], "overlap: expected 0 ≤ overlap < 1, got 1.5"),
    ],
)
def test_wrong_calls_are_refused_before_anything_is_loaded(scan, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["no.bedside", "-i", str(scan), *arguments])
    assert isinstance(done.exception, UsageError)
    assert message in str(done.exception)


@pytest.mark.parametrize(
    ("folder", "options", "message"),
    [
        (False, {"workers": 2}, "--workers goes with a folder of scans"),
        (True, {"record": "record.json"}, "the record of a folder is segment.json in the output folder"),
        (True, {"bundle": "ct.nii.gz"}, "expected a bundle first and a scan after -i"),
    ],
)
def test_options_that_do_not_go_with_the_scan_are_refused(tmp_path, scan, folder, options, message):
    paths = {"bundle": tmp_path / "no.bedside", "scan": tmp_path if folder else scan, "output": tmp_path / "out.nii.gz"}
    paths |= {name: tmp_path / value for name, value in options.items() if isinstance(value, str)}
    counts = {name: value for name, value in options.items() if isinstance(value, int)}
    command = Segment(
        **paths, **counts, postprocessing=PostprocessingOptions(), jobs=ClusterOptions(), console=Console()
    )
    with pytest.raises(UsageError, match=message):
        command()
