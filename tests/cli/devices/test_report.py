"""`bedside devices report`: a zip, which replaces nothing unasked; `test_support_report.py` has its content."""

from __future__ import annotations

import json
import zipfile

import pytest
from bedside.cli.main import run


@pytest.fixture
def report(tmp_path, monkeypatch):
    """Returns a function that calls the command, and the zip that it writes."""
    monkeypatch.setenv("BEDSIDE_CACHE", str(tmp_path / "cache"))
    output = tmp_path / "report.zip"
    return lambda *words: run(["devices", "report", "-o", str(output), *words]), output


def test_the_zip_is_written_and_its_content_is_in_the_json(report, capsys) -> None:
    call, output = report
    assert call("--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["report"] == "report.zip"
    assert {*said["contents"]} < {*zipfile.ZipFile(output).namelist()}


def test_the_bundle_itself_is_not_replaced(report, capsys) -> None:
    call, output = report
    output.write_bytes(b"a bundle")
    assert call("--bundle", str(output), "--force") == 2
    assert "the report would replace the bundle" in capsys.readouterr().err
    assert output.read_bytes() == b"a bundle"


def test_a_zip_that_is_there_is_replaced_with_force_alone(report, capsys) -> None:
    call, output = report
    output.write_bytes(b"a person's")
    assert call() == 2
    assert '"report.zip" exists; give --force to replace it' in capsys.readouterr().err
    assert output.read_bytes() == b"a person's"
    assert call("--force") == 0
    assert zipfile.is_zipfile(output)
