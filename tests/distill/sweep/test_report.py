"""The files of a sweep."""

import csv
import logging

import pytest
from bedside.distill.sweep import report
from bedside.distill.sweep.report import draw, markdown, write_report
from bedside.runtime.errors import MissingExtraError

from .test_results import BASELINE, BETTER, collect_results, liver


@pytest.fixture
def results():
    return collect_results({(1.0, 0): liver(*BASELINE), (0.5, 0): liver(*BETTER)}, "test")


def test_the_table_has_a_row_per_lambda_with_the_papers_figure(results):
    lines = markdown(results).splitlines()
    assert "|   λ | seeds | Dice ± sd |    diff |      p | Holm p |  paper |" in lines
    assert "| 0.5 |     1 |    0.5350 | +0.0350 | 0.0312 | 0.0312 | 0.8327 |" in lines
    assert "|   1 |     1 |    0.5000 |       – |      – |      – | 0.7963 |" in lines
    assert "| liver |  0.5350 | 0.5000 |" in lines


def test_two_seeds_have_a_deviation():
    found = collect_results({(1.0, 0): liver(0.4), (1.0, 1): liver(0.5)}, "test")
    assert "0.4500 ± 0.0707" in markdown(found)


def test_few_cases_validation_cases_and_failed_runs_are_named():
    few = collect_results({(0.5, 0): liver(0.4, 0.5)}, "validation", {"lambda-1_seed-0": 3})
    text = markdown(few)
    assert "With fewer than 6 cases no p below 0.05 is possible; with 2 the least is 0.5." in text
    assert "the validation cases also chose each run's best epoch" in text
    assert "Without a finished run of λ = 1 there is no difference to it." in text
    assert "Failed and left out: lambda-1_seed-0." in text


def test_six_cases_are_enough(results):
    assert "no p below" not in markdown(results)


def test_the_csv_has_the_same_figures_for_programs(tmp_path, results):
    write_report(tmp_path, results)
    with (tmp_path / "sweep.csv").open(newline="") as file:
        better, baseline = csv.DictReader(file)
    assert better == {
        "lambda": "0.5",
        "seeds": "1",
        "cases": "6",
        "list": "test",
        "dice": "0.535",
        "sd": "",
        "difference": "0.035",
        "p": "0.03125",
        "p_holm": "0.03125",
        "dice_liver": "0.535",
        "sd_liver": "",
    }
    assert (baseline["lambda"], baseline["difference"]) == ("1", "")
    assert (tmp_path / "sweep.png").read_bytes()[:4] == b"\x89PNG"


def test_the_picture_has_a_dot_per_seed_and_a_line_of_means(monkeypatch):
    found = collect_results({(1.0, 0): liver(0.4), (1.0, 1): liver(0.5), (0.5, 0): liver(0.6)}, "test")
    drawn = []
    monkeypatch.setattr(report, "png", lambda figure: drawn.append(figure) or b"")
    draw(found)
    lines = [line.get_xydata().tolist() for line in drawn[0].axes[0].lines]
    assert lines == [[[0.5, 0.6]], [[1.0, 0.4], [1.0, 0.5]], [[0.5, 0.6], [1.0, 0.45]]]


def test_without_matplotlib_one_line_says_so_and_the_tables_are_written(tmp_path, results, monkeypatch, caplog):
    def missing(width, height):
        raise MissingExtraError("matplotlib", "report")

    monkeypatch.setattr(report, "new_figure", missing)
    with caplog.at_level(logging.WARNING, "bedside"):
        write_report(tmp_path, results)
    assert [record.getMessage() for record in caplog.records] == [
        "no picture of the sweep: matplotlib is not installed; run: pip install 'bedside[report]'"
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sweep.csv", "sweep.md"]
