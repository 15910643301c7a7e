"""The demo, so short that nothing is learned: every step runs and the report says what happened."""

import json
import re

import pytest
from bedside.cli.main import run
from bedside.runtime import Segmenter

SHORT = ("--cases", "6", "--teacher-epochs", "1", "--student-epochs", "1", "--steps-per-epoch", "1")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "demo"
    return folder, run(["demo", "-o", str(folder), *SHORT, "-q"])


def test_a_student_that_learned_nothing_calls_for_a_review(demo):
    assert demo[1] == 6


def test_the_report_is_one_page_with_its_pictures_inside(demo):
    page = (demo[0] / "report.html").read_text()
    assert len(re.findall(r'<img src="data:image/png;base64,[A-Za-z0-9+/=]{1000,}', page)) >= 2
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_the_report_says_that_phantoms_prove_nothing_about_patients(demo):
    page = (demo[0] / "report.html").read_text()
    assert "Phantoms prove the chain, not clinical use." in page
    assert "not a medical device" in page


def test_the_report_shows_the_figures_that_were_measured(demo):
    page, results = (demo[0] / "report.html").read_text(), json.loads((demo[0] / "results.json").read_text())
    assert set(results["dice"]) == {"teacher", "baseline", "fp32", "int8"}
    for stage in results["stages"]:
        assert stage["seconds"] > 0
        assert stage["peak_bytes"] > 20e6
    assert f"{results['parameters']['student'] / 1e6:.1f} M parameters" in page
    for organ in ("spleen", "liver", "stomach"):
        assert organ in page


def test_the_bundle_it_leaves_runs(demo):
    scan = min((demo[0] / "data" / "imagesTs").glob("*.nii.gz"))
    with Segmenter.load(demo[0] / "student.bedside", threads=1) as segmenter:
        assert segmenter.segment(scan).labels.ndim == 3


def test_a_folder_with_other_things_is_not_touched(tmp_path, capfd):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert run(["demo", "-o", str(tmp_path), *SHORT]) == 2
    assert "thesis.txt" in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
