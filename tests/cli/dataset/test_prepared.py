"""`bedside dataset prepared`: the table, the JSON, and what is cleared."""

import json
import os
import time

import pytest
from bedside.cli.main import run
from bedside.training.data.case_cache import CaseCache

DAY = 86_400


@pytest.fixture
def runs(tmp_path):
    """Three prepared cases of two tasks, 1.5 MB each; one was last used 40 days ago."""
    cache = CaseCache(tmp_path / "runs" / "bedside-cases")
    for number, task in enumerate(["btcv", "btcv", "x[red]"]):
        case = cache.folder / f"{number:032x}"
        case.mkdir()
        (case / "image.npy").write_bytes(bytes(1_500_000))
        facts = {
            "spacing": [1.0, 1.0, 1.5], "counts": {}, "centres": {}, "warnings": [], "files": {"image.npy": 1_500_000},
            "task": task,
        }  # fmt: skip
        (case / "case.json").write_text(json.dumps(facts))
    os.utime(cache.folder / f"{0:032x}", (time.time() - 40 * DAY,) * 2)
    return tmp_path / "runs"


def keys(runs):
    return sorted(path.name[-1] for path in (runs / "bedside-cases").iterdir() if path.is_dir())


def test_cases_are_listed_by_task_with_their_size_and_last_use(runs, capfd):
    assert run(["dataset", "prepared", str(runs)]) == 0
    shown = [" ".join(line.replace("│", " ").split()) for line in capfd.readouterr().out.splitlines()]
    assert "btcv 1 × 1 × 1.5 mm 2 – 3.0 MB today" in shown
    assert "x[red] 1 × 1 × 1.5 mm 1 – 1.5 MB today" in shown
    assert shown[-1] == "3 cases, 4.5 MB"
    assert keys(runs) == ["0", "1", "2"]


def test_what_would_be_cleared_can_be_seen_first(runs, capfd):
    assert run(["dataset", "prepared", str(runs), "--unused-for", "30"]) == 0
    assert "1 case, 1.5 MB" in capfd.readouterr().out
    assert keys(runs) == ["0", "1", "2"]
    assert run(["dataset", "prepared", str(runs), "--unused-for", "30", "--clear"]) == 0
    assert "cleared 1 case, 1.5 MB; left 2 cases, 3.0 MB, 0 in use" in capfd.readouterr().out
    assert keys(runs) == ["1", "2"]


def test_clearing_without_days_clears_everything(runs, capfd):
    assert run(["dataset", "prepared", str(runs / "bedside-cases"), "--clear", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["cleared"]
    assert [case["bytes"] > 1_500_000 for case in told["cases"]] == [True] * 3
    assert {case["task"] for case in told["cases"]} == {"btcv", "x[red]"}
    assert keys(runs) == []


def test_where_nothing_was_prepared_one_line_says_what_was_expected(tmp_path, capfd):
    assert run(["dataset", "prepared", str(tmp_path), "--clear"]) == 3
    error = capfd.readouterr().err
    assert 'expected a folder of prepared cases, or one that contains "bedside-cases"' in error
    assert error.count("\n") == 1
