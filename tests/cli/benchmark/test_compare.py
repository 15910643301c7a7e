"""`bedside benchmark compare`: ratios by hand, and files that are no reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bedside.cli.main import run
from bedside.devices import detect

from ..printed import widest
from .test_tables import report, variant


@pytest.fixture
def written(tmp_path):
    """Writes a report with some of its fields changed, and returns its path."""

    def write(name, **changes):
        content = report(
            detect(Path("/nowhere")).cpu, (variant("openvino", "fp32"), variant("onnxruntime", "int8"))
        ).to_dict()
        content = json.loads(json.dumps(content))
        for each in content["variants"]:
            each["window"]["p50_ms"] *= changes.get("slower", 1)
            each["rounds_ms"] = [each["window"]["p50_ms"]] * 3
        content |= {key: value for key, value in changes.items() if key in content}
        (tmp_path / name).write_text(json.dumps(content))
        return str(tmp_path / name)

    return write


def test_ratios_are_the_seconds_by_the_firsts_and_what_differs_is_named(written, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    first, second = written("a.json"), written("b.json", slower=0.5, bedside_version="0.2.0")
    assert run(["benchmark", "compare", first, second]) == 0
    text = capsys.readouterr().out
    assert widest(text) <= 80
    assert text.count("0.50–0.50") == 2
    assert "0.1.0" in text
    assert "0.2.0" in text


def test_the_comparison_is_one_json_object(written, capsys):
    first, second = written("a.json"), written("b.json", slower=2)
    assert run(["benchmark", "compare", first, second, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [row["window"]["value"] for row in said["variants"]] == pytest.approx([2.0, 2.0])
    assert (said["differences"], said["only_first"], said["schema_version"]) == ([], [], 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected what bedside benchmark --json prints"),
        ("[]", "expected what bedside benchmark --json prints"),
        ("{}", "expected schema version 1, got none; measure again"),
        ('{"schema_version": 7}', "expected schema version 1, got 7; measure again"),
        ('{"schema_version": 1}', "missing required field"),
        ("[" * 100_000, "expected what bedside benchmark --json prints"),
    ],
)
def test_what_is_no_report_is_refused_in_one_line_that_names_the_file(written, tmp_path, capsys, content, message):
    (tmp_path / "wrong.json").write_text(content)
    assert run(["benchmark", "compare", written("a.json"), str(tmp_path / "wrong.json")]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert 'report "wrong.json"' in line
    assert message in line


def test_a_wrong_field_is_named(written, tmp_path, capsys):
    content = json.loads((tmp_path / written("a.json")).read_text())
    content["variants"][1]["window"]["p50_ms"] = "fast"
    (tmp_path / "wrong.json").write_text(json.dumps(content))
    assert run(["benchmark", "compare", written("a.json"), str(tmp_path / "wrong.json")]) == 3
    assert "$.variants[1].window.p50_ms" in capsys.readouterr().err


def test_a_report_that_is_missing_is_refused(written, capsys):
    assert run(["benchmark", "compare", written("a.json"), "absent.json"]) == 3
    assert "absent.json" in capsys.readouterr().err
