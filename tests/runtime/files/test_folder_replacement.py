"""Whatever ends a swap of folders, the old one or the whole new one is there, or comes back with the next call."""

from __future__ import annotations

import errno
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bedside.runtime.errors import ResourceError
from bedside.runtime.files import folder_replacement, temporaries
from bedside.runtime.files.atomic import atomic_directory
from bedside.runtime.files.folder_replacement import exchange, replace_folder, restore_moved_folder
from bedside.runtime.files.temporaries import moved_folder_name, remove_leftovers

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges two folders in one step")

# Replaces the folder "b" and is killed at one of its renames: before it (even numbers) or after it (odd ones).
KILLED = """
import os, signal, sys
from pathlib import Path
from bedside.runtime.files import folder_replacement
from bedside.runtime.files.atomic import atomic_directory

moment, one_step = int(sys.argv[1]), sys.argv[2] == "exchange"
calls = 0

def killing(real):
    def move(first, second):
        global calls
        if calls == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        moved = real(first, second)
        if calls + 1 == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        calls += 2
        return moved
    return move

Path.replace = killing(Path.replace)
folder_replacement.exchange = killing(folder_replacement.exchange) if one_step else lambda *_: False
with atomic_directory("b", marker="marker") as folder:
    (folder / "marker").touch()
    (folder / "new").touch()
"""


def folder_with(path: Path, name: str) -> Path:
    with atomic_directory(path, marker="marker") as folder:
        (folder / "marker").touch()
        (folder / name).touch()
    return path


def content(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


@pytest.fixture(params=["exchange", "two renames"])
def way(request, monkeypatch):
    if request.param == "two renames":
        monkeypatch.setattr(folder_replacement, "exchange", lambda *_: False)
    elif sys.platform != "linux":
        pytest.skip("only Linux exchanges two folders in one step")
    return request.param


def test_the_old_folder_is_told_and_the_new_one_in_its_place(tmp_path, way):
    old, new = (folder_with(tmp_path / name, name) for name in ("old", "new"))
    replaced = replace_folder(new, old)
    assert content(old) == ["marker", "new"]
    assert replaced is not None
    assert content(replaced) == ["marker", "old"]


def test_a_replaced_folder_is_gone_at_the_end(tmp_path, way):
    folder_with(tmp_path / "b", "old")
    folder_with(tmp_path / "b", "new")
    assert content(tmp_path) == ["b"]
    assert content(tmp_path / "b") == ["marker", "new"]


@linux
@pytest.mark.parametrize("library", ["with the function", "without"])
def test_two_folders_change_places_with_and_without_a_function_of_the_c_library(tmp_path, monkeypatch, library):
    import ctypes

    class WithoutName(ctypes.CDLL):
        def __getattr__(self, name):
            if name == "renameat2":
                raise AttributeError(name)
            return super().__getattr__(name)

    first, second = (folder_with(tmp_path / name, name) for name in ("first", "second"))
    if library == "without":
        monkeypatch.setattr(ctypes, "CDLL", WithoutName)
    folder_replacement._renameat2.cache_clear()
    try:
        assert exchange(first, second)
    finally:
        folder_replacement._renameat2.cache_clear()
    assert (content(first), content(second)) == (["marker", "second"], ["first", "marker"])


@linux
def test_an_exchange_that_fails_for_another_reason_than_not_being_had_is_an_error(tmp_path):
    folder_with(tmp_path / "b", "old")
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "none", tmp_path / "b")


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS, errno.EPERM])
def test_a_file_system_that_cannot_exchange_gets_two_renames(tmp_path, monkeypatch, code):
    import ctypes

    monkeypatch.setattr(folder_replacement, "_renameat2", lambda: lambda *_: -1)
    monkeypatch.setattr(ctypes, "get_errno", lambda: code)
    folder_with(tmp_path / "b", "old")
    folder_with(tmp_path / "b", "new")
    assert content(tmp_path / "b") == ["marker", "new"]


def test_a_failed_rename_brings_the_old_folder_back(tmp_path, monkeypatch):
    real_replace = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if self.name.endswith(".new"):
            raise OSError(errno.EIO, "Input/output error")
        return real_replace(self, target)

    folder_with(tmp_path / "b", "old")
    monkeypatch.setattr(folder_replacement, "exchange", lambda *_: False)
    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(ResourceError, match="Input/output"), atomic_directory(tmp_path / "b"):
        pass
    assert content(tmp_path / "b") == ["marker", "old"]
    assert content(tmp_path) == ["b"]


@linux
@pytest.mark.parametrize(
    ("how", "moment", "found"),
    [
        ("exchange", 0, "old"),
        ("exchange", 1, "new"),
        ("two renames", 0, "old"),
        ("two renames", 1, None),  # the old folder is set aside: this moment is why it can be brought back
        ("two renames", 2, None),
        ("two renames", 3, "new"),
    ],
)
def test_killed_at_any_rename_the_old_or_the_new_folder_is_there_or_comes_back(tmp_path, how, moment, found):
    final = folder_with(tmp_path / "b", "old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(moment), how], cwd=tmp_path)
    assert done.returncode == -signal.SIGKILL
    assert (content(final) if final.exists() else None) == (found and sorted(["marker", found]))
    with pytest.raises(ZeroDivisionError), atomic_directory(final, marker="marker"):
        raise ZeroDivisionError  # a write that comes to nothing
    assert content(final) == sorted(["marker", found or "old"])
    folder_with(final, "newest")
    assert content(final) == ["marker", "newest"]
    assert content(tmp_path) == ["b"]


def of_a_dead_process(name: str) -> str:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return re.sub(r"-\d+-", f"-{process.pid}-", name, count=1)


def test_of_several_set_aside_the_last_comes_back_and_the_others_go_then(tmp_path):
    for number in range(2):
        folder_with(tmp_path / str(number), str(number)).rename(tmp_path / of_a_dead_process(moved_folder_name("b")))
        time.sleep(0.01)  # file systems count time in ticks of some milliseconds
    restore_moved_folder(tmp_path / "b")
    assert content(tmp_path / "b") == ["1", "marker"]
    remove_leftovers(tmp_path)
    assert content(tmp_path) == ["b"]


def test_what_was_set_aside_from_another_name_is_left_alone(tmp_path):
    folder_with(tmp_path / "c", "old").rename(tmp_path / of_a_dead_process(moved_folder_name("c")))
    restore_moved_folder(tmp_path / "b")
    folder_with(tmp_path / "b", "new")
    restore_moved_folder(tmp_path / "c")
    assert content(tmp_path) == ["b", "c"]


def test_what_a_running_process_has_just_set_aside_is_left_to_it(tmp_path, monkeypatch):
    aside = folder_with(tmp_path / "b", "old").rename(tmp_path / moved_folder_name("b"))
    restore_moved_folder(tmp_path / "b")
    assert aside.exists()
    monkeypatch.setattr(temporaries, "_SWAP_SECONDS", -1.0)  # a minute later its number is another process's
    restore_moved_folder(tmp_path / "b")
    assert content(tmp_path / "b") == ["marker", "old"]


def test_nothing_of_the_name_can_be_read_from_what_is_set_aside():
    assert re.fullmatch(r"\.bedside-[0-9a-f]{8}-\d+-[0-9a-f]{16}\.[0-9a-f]{16}\.old", moved_folder_name("Doe.John"))


def test_a_path_that_is_taken_gets_nothing_back(tmp_path):
    folder_with(tmp_path / "b", "old").rename(tmp_path / of_a_dead_process(moved_folder_name("b")))
    (tmp_path / "b").symlink_to("nowhere")
    restore_moved_folder(tmp_path / "b")
    assert (tmp_path / "b").is_symlink()
