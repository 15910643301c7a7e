"""Cases scored in several processes: what comes out is what one process gives, and nothing outlives a stop."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from bedside.cli.evaluate.scoring import score_pairs
from bedside.cli.terminal.failure import Failure
from bedside.runtime import BedsideError
from bedside.runtime.errors import ExitCode
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume
from bedside.training.scores.evaluation import Evaluation
from bedside.training.scores.pairing import Pair, pairs_of_folders

GRID = Grid((12, 12, 12), np.diag([1.0, 1.0, 1.0, 1.0]))
LABELS = ("background", "liver", "spleen")


def save(path: Path, label: int, start: int = 3, grid: Grid = GRID) -> Path:
    """A cube of five voxels along each edge."""
    labels = np.zeros(grid.shape, np.uint8)
    labels[start : start + 5, 4:9, 4:9] = label
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(path, labels, grid)
    return path


def scored(pairs: list[Pair], workers: int, labels: tuple[str, ...] | None = LABELS) -> Evaluation:
    return score_pairs(pairs, labels, 1.0, workers, lambda done, total: None)


def figures(evaluation: Evaluation) -> list[object]:
    cases = [
        (name, scores.dice.tolist(), scores.nsd.tolist(), scores.hd95.tolist(), scores.predicted_voxels.tolist())
        for name, scores in evaluation.cases
    ]
    return [evaluation.labels, evaluation.reported, evaluation.reoriented, repr(cases)]  # repr, for nan is not nan


@pytest.mark.parametrize(
    ("labels", "first", "dice"), [(LABELS, 1, 0.8 / 3), (None, 2, 0.0)], ids=["named", "numbered, all missed"]
)
def test_two_workers_score_as_one(tmp_path: Path, labels: tuple[str, ...] | None, first: int, dice: float) -> None:
    lps = Grid(GRID.shape, np.array([[-1.0, 0, 0, 11], [0, -1.0, 0, 11], [0, 0, 1.0, 0], [0, 0, 0, 1.0]]))
    for name, truth, found in (("a", 1, first), ("b", 1, 2), ("c", 2, 1), ("d", 1, 2)):
        save(tmp_path / "t" / f"{name}.nii.gz", truth)
        save(tmp_path / "p" / f"{name}.nii.gz", found, 4, lps if name == "b" else GRID)
    pairs = pairs_of_folders(tmp_path / "p", tmp_path / "t")
    one, two = scored(pairs, 1, labels), scored(pairs, 2, labels)
    assert [name for name, _ in two.cases] == ["a", "b", "c", "d"]
    assert two.reoriented == ("b",)
    assert two.organs[0].dice == pytest.approx(dice)  # of three cases that have it: 4 of 5 planes shared, or missed
    assert figures(two) == figures(one)


def test_the_first_case_that_is_refused_is_told_though_a_later_one_fails_sooner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = (Pair(name, tmp_path / name, tmp_path / name) for name in "abc")
    asked = []

    def finished(*_: object) -> Iterator[tuple[Pair, Failure]]:
        for pair in (b, a, c):
            asked.append(pair.name)
            yield pair, Failure(f"{pair.name} is broken", ExitCode.INPUT)

    monkeypatch.setattr("bedside.processes.worker_pool.run_in_workers", finished)
    with pytest.raises(BedsideError, match="a is broken") as caught:
        scored([a, b, c], 2)
    assert caught.value.exit_code == 3
    assert asked == ["b", "a"]


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A small case and forty that take a moment each: nothing is found in them."""
    grid = Grid((256, 256, 200), np.eye(4))
    save(tmp_path / "t" / "a.nii.gz", 1)
    save(tmp_path / "p" / "a.nii.gz", 2)
    truth, found = save(tmp_path / "t" / "b0.nii.gz", 1, grid=grid), save(tmp_path / "p" / "b0.nii.gz", 2, grid=grid)
    for number in range(1, 40):
        (tmp_path / "t" / f"b{number}.nii.gz").hardlink_to(truth)
        (tmp_path / "p" / f"b{number}.nii.gz").hardlink_to(found)
    return tmp_path


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [
        sys.executable, "-m", "bedside", *words, "evaluate", "-p", str(folder / "p"), "-t", str(folder / "t"),
        "--workers", "2", "--csv", str(folder / "scores.csv"),
    ]  # fmt: skip
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        bufsize=1,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job ignores it
    )


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Waits until cases are scored, and returns the workers."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("evaluate:"):
            break
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize(
    ("how", "code"),
    [("ctrl-C", 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)],
    ids=["ctrl-C", "SIGTERM", "SIGKILL"],
)
def test_however_it_ends_no_process_and_no_file_is_left(many: Path, how: str | signal.Signals, code: int) -> None:
    process = start(many)
    workers = workers_of(process)
    assert len(workers) == 2
    if isinstance(how, signal.Signals):
        process.send_signal(how)
    else:
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    out, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert (out, "Traceback" in errors) == ("", False)
    if code > 0:
        assert errors.splitlines()[-1].endswith("nothing half-written")
    _, left = psutil.wait_procs(workers, timeout=30)
    assert left == []
    assert sorted(path.name for path in many.iterdir()) == ["p", "t"]


def test_a_worker_that_is_killed_ends_it_with_the_name_of_its_case(many: Path) -> None:
    process = start(many)
    workers_of(process)[0].kill()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 5
    last = errors.splitlines()[-1]
    assert re.fullmatch(
        r'bedside: error: case "(a|b\d+)": its process was killed by signal 9 '
        r"\(out of memory\?\); take fewer --workers",
        last,
    )
    assert not (many / "scores.csv").exists()


def test_debug_shows_where_a_case_failed_in_a_worker_and_the_same_last_line(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / "t" / f"{name}.nii.gz", 1)
        save(tmp_path / "p" / f"{name}.nii.gz", 2)
    (tmp_path / "p" / "b.nii.gz").write_bytes(b"no label map")
    plain, debug = start(tmp_path), start(tmp_path, "--debug")
    (_, plain_errors), (_, debug_errors) = plain.communicate(timeout=60), debug.communicate(timeout=60)
    assert plain.returncode == debug.returncode == 3
    assert plain_errors.splitlines()[-1] == debug_errors.splitlines()[-1]
    assert 'case "b", prediction' in plain_errors
    assert re.search(r'worker [12]: ERROR:bedside:a case failed: InputError\n  File "', debug_errors)
    assert "scored_case.py" in debug_errors
    assert "File " not in plain_errors
