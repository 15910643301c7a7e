"""What is told of prepared cases, and clearing them beside trainings that use some."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from bedside.runtime.errors import InputError, ResourceError
from bedside.training.data import cases_in_use
from bedside.training.data.cases_in_use import in_use, registration_lock
from bedside.training.data.prepare import prepare_cases
from bedside.training.data.prepared_folder import PreparedFolder

DAY = 86_400


@pytest.fixture
def cases(small_dataset, small_task, tmp_path):
    """Two cases prepared for one task, one of them for a coarser one too."""
    folder = tmp_path / "runs" / "bedside-cases"
    two = prepare_cases(small_dataset.training, small_task, folder)
    coarse = small_task.replaced(name="coarse", spacing=(8.0, 8.0, 8.0))
    return [*two, *prepare_cases(small_dataset.training[:1], coarse, folder)]


@pytest.fixture
def folder(cases):
    return PreparedFolder(cases[0].folder.parent)


def grow_old(case, days):
    os.utime(case.folder, (time.time() - days * DAY,) * 2)


def keys(stored):
    return {case.key for case in stored}


def test_cases_are_told_with_task_grid_size_and_time(folder, cases, small_task):
    grow_old(cases[1], 9)
    told = {case.key: case for case in folder.cases()}
    assert {key: (case.task, case.spacing) for key, case in told.items()} == {
        cases[0].folder.name: (small_task.name, (4.0, 4.0, 4.0)),
        cases[1].folder.name: (small_task.name, (4.0, 4.0, 4.0)),
        cases[2].folder.name: ("coarse", (8.0, 8.0, 8.0)),
    }
    first = told[cases[0].folder.name]
    assert first.size == sum(file.stat().st_size for file in cases[0].folder.iterdir())
    assert first.size > 70 * 66 * 36 * 5  # float32 image and uint8 labels
    assert not first.in_use
    assert first.used == pytest.approx(time.time(), abs=60)
    assert told[cases[1].folder.name].used == pytest.approx(time.time() - 9 * DAY, abs=60)


def test_the_folder_is_found_beside_the_runs(folder, tmp_path):
    assert PreparedFolder(tmp_path / "runs").path == folder.path


def test_another_programs_cache_is_not_taken_for_ours(tmp_path):
    (tmp_path / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n# somebody else's\n")
    with pytest.raises(InputError, match='or one that contains "bedside-cases"'):
        PreparedFolder(tmp_path)


def test_a_damaged_case_is_told_and_can_be_cleared(folder, cases):
    (cases[0].folder / "case.json").write_text("{")
    damaged = next(case for case in folder.cases() if case.key == cases[0].folder.name)
    assert (damaged.task, damaged.spacing) == ("", None)
    assert cases[0].folder.name in keys(folder.clear())


def test_a_file_that_a_training_removes_meanwhile_counts_nothing(folder, cases, monkeypatch):
    before = folder.cases()
    gone = cases[0].folder / "gone.new"
    real = Path.rglob
    monkeypatch.setattr(Path, "rglob", lambda self, pattern: [*real(self, pattern), gone])
    assert folder.cases() == before


def test_clearing_leaves_a_folder_that_can_be_filled_again(folder, cases, small_dataset, small_task):
    assert keys(folder.clear()) == {case.folder.name for case in cases}
    assert sorted(path.name for path in folder.path.iterdir()) == [".gitignore", "CACHEDIR.TAG", "README.txt"]
    again = prepare_cases(small_dataset.training, small_task, folder.path)
    assert [case.folder for case in again] == [case.folder for case in cases[:2]]


def test_only_what_was_not_used_for_so_many_days_is_cleared(folder, cases):
    grow_old(cases[0], 31)
    grow_old(cases[1], 29)
    assert keys(folder.clear(30)) == {cases[0].folder.name}
    assert keys(folder.cases()) == {cases[1].folder.name, cases[2].folder.name}


def test_a_training_that_opens_a_case_has_used_it(folder, cases, small_dataset, small_task):
    for case in cases:
        grow_old(case, 31)
    prepare_cases(small_dataset.training, small_task, folder.path)
    assert keys(folder.clear(30)) == {cases[2].folder.name}


def test_cases_were_last_used_when_their_training_ended(folder, cases):
    with in_use(folder.path, [cases[0].folder.name]):
        grow_old(cases[0], 31)  # it is a long one
    assert not next(case for case in folder.cases() if case.key == cases[0].folder.name).unused_for(1)


def test_what_a_training_uses_is_left_however_old_it_is(folder, cases):
    for case in cases:
        grow_old(case, 31)
    with in_use(folder.path, [cases[0].folder.name]):
        assert [case.key for case in folder.cases() if case.in_use] == [cases[0].folder.name]
        assert keys(folder.clear()) == {case.folder.name for case in cases[1:]}
        assert cases[0].image().shape == (36, 66, 70)  # opened only now
    assert keys(folder.clear()) == {cases[0].folder.name}


def test_an_array_that_is_mapped_stays_readable_when_its_case_is_cleared(folder, cases):
    image, expected = cases[0].image(), np.array(cases[0].image())
    folder.clear()
    assert not cases[0].folder.exists()
    assert np.array_equal(image, expected)


USER = """
import sys
from pathlib import Path
from bedside.training.data.cases_in_use import in_use
with in_use(Path(sys.argv[1]), sys.argv[2:]):
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_another_process_keeps_its_cases_until_it_is_killed(folder, cases):
    words = [sys.executable, "-c", USER, folder.path, *(case.folder.name for case in cases)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout.readline() == "ready\n"
        assert folder.clear() == []
        user.send_signal(signal.SIGKILL)
        user.wait()
        assert len(list(folder.path.glob(".use-*"))) == 1
        assert len(folder.clear()) == 3
        assert list(folder.path.glob(".use-*")) == []


def test_a_training_that_starts_while_cases_are_cleared_waits_for_the_end_of_it(folder, cases):
    entered = threading.Event()

    def training():
        with in_use(folder.path, [cases[0].folder.name]):
            entered.set()

    with registration_lock(folder.path):
        other = threading.Thread(target=training)
        other.start()
        assert not entered.wait(0.2)
    assert entered.wait(10)
    other.join()


def test_where_there_are_no_locks_nothing_is_cleared_and_training_goes_on(folder, cases, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)  # importing it fails, as on Windows
    with in_use(folder.path, [cases[0].folder.name]), pytest.raises(ResourceError, match="has no locks"):
        folder.clear()
    assert len(folder.cases()) == 3


def test_a_training_on_somebody_elses_folder_says_that_its_use_cannot_be_told(folder, cases, monkeypatch, caplog):
    @contextmanager
    def closed(folder):
        raise PermissionError(13, "Permission denied")
        yield

    monkeypatch.setattr(cases_in_use, "registration_lock", closed)
    with caplog.at_level(logging.WARNING), in_use(folder.path, [cases[0].folder.name]):
        assert cases[0].image().shape == (36, 66, 70)
    assert "(Permission denied): clear none while this training runs" in caplog.text


def test_what_a_killed_clearing_left_goes_with_the_next(folder, cases, monkeypatch):
    def killed(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        folder.clear()
    monkeypatch.undo()
    (left, *_) = [path for path in folder.path.iterdir() if path.name.endswith(".cleared")]
    for path in folder.path.glob("*.cleared"):  # of a process that cannot be
        path.rename(path.with_name(path.name.replace(f"-{os.getpid()}-", "-4194304-")))
    assert not left.exists()
    assert folder.clear() == []
    assert sorted(path.name for path in folder.path.iterdir()) == [".gitignore", "CACHEDIR.TAG", "README.txt"]
