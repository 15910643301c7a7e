from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import pytest
from bedside.runtime.files.atomic import atomic_directory, atomic_write
from bedside.runtime.files.temporaries import remove_leftovers, temporary_name

linux = pytest.mark.skipif(sys.platform == "win32", reason="there, only age tells")


@pytest.fixture
def dead():
    """The number of a process that no longer runs."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def of_process(number, ending=".nii.gz"):
    return re.sub(r"-\d+-", f"-{number}-", temporary_name(ending), count=1)


def elsewhere(ending=".nii.gz"):
    return re.sub("bedside-[0-9a-f]{8}", "bedside-00000000", temporary_name(ending), count=1)


def aged(path, days):
    then = time.time() - days * 86_400
    os.utime(path, (then, then))


@linux
def test_the_next_write_clears_what_a_dead_process_left(tmp_path, dead):
    (tmp_path / of_process(dead)).write_text("half")
    (tmp_path / of_process(dead, ".new")).mkdir()
    with atomic_write(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@linux
def test_so_does_the_next_folder(tmp_path, dead):
    (tmp_path / of_process(dead)).write_text("half")
    with atomic_directory(tmp_path / "b"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@linux
@pytest.mark.parametrize("process", [os.getpid(), os.getppid(), 1], ids=["self", "parent", "init"])
def test_what_a_running_process_writes_stays_however_old(tmp_path, process):
    mine = tmp_path / of_process(process)
    mine.write_text("half")
    aged(mine, 100)
    remove_leftovers(tmp_path)
    assert mine.exists()


@pytest.mark.parametrize(("days", "stays"), [(0, True), (6, True), (8, False)])
def test_of_another_machine_only_age_tells(tmp_path, days, stays):
    theirs = tmp_path / elsewhere()
    theirs.write_text("half")
    aged(theirs, days)
    remove_leftovers(tmp_path)
    assert theirs.exists() == stays


def test_a_folder_set_aside_is_data_and_stays(tmp_path, dead):
    for name in (of_process(dead, ".old"), elsewhere(".old")):
        (tmp_path / name).mkdir()
        aged(tmp_path / name, 100)
    remove_leftovers(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", [".bedside-demo", ".bedside-0123456789abcdef.nii.gz", "bedside-00000000-1-x", "a.nii"])
def test_other_names_stay(tmp_path, name):
    (tmp_path / name).touch()
    aged(tmp_path / name, 100)
    remove_leftovers(tmp_path)
    assert (tmp_path / name).exists()


def test_a_folder_that_is_not_there_is_nobodys_fault(tmp_path):
    remove_leftovers(tmp_path / "none")


def test_a_link_of_such_a_name_goes_and_its_target_stays(tmp_path, dead):
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "thesis.txt").touch()
    (tmp_path / of_process(dead, ".new")).symlink_to(tmp_path / "target")
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    assert (tmp_path / "target" / "thesis.txt").exists()


def test_the_temporary_has_nothing_of_the_final_name_but_its_kind(tmp_path):
    with atomic_write(tmp_path / "Doe.John.nii.gz") as temporary:
        assert temporary.name.endswith(".nii.gz")
        assert "John" not in temporary.name
        temporary.touch()
