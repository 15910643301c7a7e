"""`bedside benchmark` writes its figures as JSON with a schema version, as comma-separated values and as a page."""

from __future__ import annotations

import csv
import json
import re

import pytest
from bedside.cli.benchmark.csv_table import TABLE_MARKS
from bedside.cli.benchmark.page import PAGE_MARKS
from bedside.cli.main import run
from bedside.devices.measurement import rounds
from bedside.devices.measurement.measuring import Sustain
from bedside.runtime.bundles.outputs import check_writable

from ..printed import widest

QUICK = ("--seconds", "0", "--rounds", "2", "--engine", "onnxruntime", "--network-only", "--threads", "1")


def test_csv_and_page_have_the_figures_of_the_json(tiny_bundle, tmp_path, capsys):
    assert (
        run(
            [
                "benchmark",
                str(tiny_bundle),
                *QUICK,
                "--csv",
                str(tmp_path / "b.csv"),
                "--html",
                str(tmp_path / "b.html"),
                "--json",
            ]
        )
        == 0
    )
    report = json.loads(capsys.readouterr().out)
    with (tmp_path / "b.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert report["schema_version"] == 1
    assert [row["variant"] for row in rows] == ["onnxruntime fp32", "onnxruntime int8"]
    assert [float(row["p50_ms"]) for row in rows] == [each["window"]["p50_ms"] for each in report["variants"]]
    assert float(rows[1]["ratio"]) == report["variants"][1]["ratio"]["value"]
    assert (rows[0]["total_s"], rows[0]["bundle"]) == ("", "tiny")
    page = (tmp_path / "b.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page
    assert all(row["variant"] in page for row in rows)
    assert not re.search(r"(?:src|href)=[\"'](?!data:)", page)  # nothing is loaded from elsewhere
    check_writable(tmp_path / "b.csv", ".csv", marks=TABLE_MARKS)  # an earlier result may be replaced
    check_writable(tmp_path / "b.html", ".html", marks=PAGE_MARKS)


@pytest.mark.parametrize(("option", "name"), [("--csv", "mine.csv"), ("--html", "mine.html")])
def test_another_file_is_not_replaced(bundle_path, tmp_path, monkeypatch, capsys, option, name):
    monkeypatch.setattr("bedside.devices.benchmark", lambda *_, **__: pytest.fail("measured"))
    (tmp_path / name).write_text("a person's own")
    assert run(["benchmark", str(bundle_path), option, str(tmp_path / name)]) == 2
    assert f'output "{name}": expected nothing there, or an earlier result of this command' in capsys.readouterr().err
    assert (tmp_path / name).read_text() == "a person's own"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--csv", "out.txt"), 'output "out.txt": expected a name ending in .csv'),
        (("--html", "out.csv"), 'output "out.csv": expected a name ending in .html'),
        (("--precision", "fp32,INT4"), 'int8-bf16, got "INT4"'),
        (("--rounds", "0"), "rounds: expected a whole number from 1 to 1000, got 0"),
        (("--against", "nnunet"), '--against: expected monai, got "nnunet"'),
        (("--against", "monai"), '"toy" is no student of bedside'),
        (("--as", "orin-nan"), 'no device "orin-nan"; did you mean orin-nano-'),
        (("--sustained", "forever"), "--sustained: expected a duration like 500ms, 20s, 30min or 2h, got"),
        (("--sustained", "1s"), "sustained: expected 3 to 86400 seconds, got 1"),
        (("--sustained", "99h"), "sustained: expected 3 to 86400 seconds"),
        (("--seconds", "1e9"), "min_seconds: expected a number from 0 to 86400"),
    ],
)
def test_wrong_options_are_refused_in_one_line_before_anything_is_measured(
    tiny_bundle, tmp_path, monkeypatch, capsys, words, message
):
    monkeypatch.chdir(tmp_path)
    assert run(["benchmark", str(tiny_bundle), *words]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert message in error
    assert len([line for line in error.splitlines() if "error" in line]) == 1


def test_a_precision_that_the_bundle_lacks_has_the_exit_code_of_segment(tiny_bundle, scan, tmp_path, capsys):
    segment = ["segment", str(tiny_bundle), "-i", str(scan), "-o", str(tmp_path / "labels.nii.gz")]
    for words in (["benchmark", str(tiny_bundle)], segment):
        assert run([*words, "--precision", "fp16"]) == 4
        assert "the bundle has no fp16 model; it has: " in capsys.readouterr().err


def test_a_sustained_run_names_the_variant_and_compares_its_ends(tiny_bundle, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    words = ("--precision", "fp32", "--sustained", "3s", "--html", str(tmp_path / "b.html"))
    assert run(["benchmark", str(tiny_bundle), *QUICK, *words]) == 0
    text = capsys.readouterr().out
    assert widest(text) <= 80
    assert "Sustained, onnxruntime fp32:" in text
    assert "last 1 s against the first:" in text
    assert "throttling:" in text
    page = (tmp_path / "b.html").read_text(encoding="utf-8")
    assert "latency, clocks and heat along the run" in page


def test_a_sustained_run_that_dies_leaves_all_other_figures_and_exit_code_5(tiny_bundle, capsys, monkeypatch):
    class Dying(rounds.KeptWorker):
        def run(self, item, progress=None):
            if isinstance(item, Sustain):
                self.kill()
            return super().run(item, progress)

    monkeypatch.setattr(rounds, "KeptWorker", Dying)
    assert run(["benchmark", str(tiny_bundle), *QUICK, "--precision", "fp32", "--sustained", "3s", "--json"]) == 5
    out, error = capsys.readouterr()
    report = json.loads(out)
    assert [variant["engine"] for variant in report["variants"]] == ["onnxruntime"]
    assert report["sustained"] is None
    (warning,) = [each for each in report["warnings"] if "sustained" in each]
    assert warning.startswith("the sustained run failed; onnxruntime fp32: its process was killed by signal 9")
    assert "measured all but the sustained run" in error


def test_what_was_imposed_is_in_every_output(tiny_bundle, tmp_path, capsys):
    outputs = ("--csv", str(tmp_path / "b.csv"), "--html", str(tmp_path / "b.html"))
    words = ("--precision", "fp32", "--as", "orin-nano-4", *outputs)
    assert run(["benchmark", str(tiny_bundle), *QUICK, *words]) == 0
    label = "memory-true, speed-untrue"
    assert label in capsys.readouterr().out
    assert label in (tmp_path / "b.csv").read_text()
    assert label in (tmp_path / "b.html").read_text()
