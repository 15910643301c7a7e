"""Which prepared cases trainings use: what a process lists holds as long as the process does."""

import errno
import os
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from bedside.runtime.errors import ResourceError
from bedside.runtime.files.lock import Lock, acquire_lock
from bedside.training.data import cases_in_use as module
from bedside.training.data.cases_in_use import TAG, in_use, keys_in_use, registration_lock, touch

from ...descriptor_copies import copy_descriptors


@pytest.fixture
def folder(tmp_path):
    (tmp_path / TAG).touch()
    for key in ("a", "b"):
        (tmp_path / key).mkdir()
    return tmp_path


def test_several_trainings_add_up_and_leave_nothing_behind(folder):
    with in_use(folder, ["a"]):
        with in_use(folder, ["a", "b", "c"]):  # c is not prepared yet
            assert keys_in_use(folder) == {"a", "b", "c"}
        assert keys_in_use(folder) == {"a"}
    assert keys_in_use(folder) == set()
    assert sorted(path.name for path in folder.iterdir()) == [TAG, "a", "b"]


def test_a_list_that_no_process_holds_counts_for_nothing_and_is_removed(folder):
    (folder / ".use-0123").write_text("a\nb")  # of a training that was killed
    assert keys_in_use(folder) == set()
    assert not (folder / ".use-0123").exists()


def test_without_locks_a_training_stays_registered_when_cases_are_listed(folder, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with in_use(folder, ["a"]):
        for _ in range(2):
            assert keys_in_use(folder) == {"a"}
    assert keys_in_use(folder) == set()


def test_a_child_that_was_forked_while_the_lock_was_held_does_not_keep_it(folder):
    with ExitStack() as copies:
        with registration_lock(folder) as lock:
            assert lock is Lock.ACQUIRED
            copy_descriptors(folder / TAG, copies)
        descriptor = os.open(folder / TAG, os.O_RDWR)
        copies.callback(os.close, descriptor)
        assert acquire_lock(descriptor, wait=False) is Lock.ACQUIRED


def test_a_list_that_another_users_killed_training_left_counts_for_nothing_and_stays(folder, monkeypatch):
    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied")

    (folder / ".use-0123").write_text("a\nb")
    monkeypatch.setattr(Path, "unlink", forbidden)
    assert keys_in_use(folder) == set()
    assert (folder / ".use-0123").exists()


def test_a_list_that_cannot_be_read_is_a_resource_error(folder, monkeypatch):
    def forbidden(*_):
        raise PermissionError(13, "Permission denied")

    (folder / ".use-0123").write_text("a\nb")
    monkeypatch.setattr(module, "_open", forbidden)
    with pytest.raises(ResourceError, match=r"that a training uses cannot be read \(Permission denied\)"):
        keys_in_use(folder)


def test_a_training_that_fails_uses_its_cases_no_longer(folder):
    with pytest.raises(KeyError), in_use(folder, ["a"]):
        raise KeyError
    assert keys_in_use(folder) == set()


def test_the_end_of_a_training_is_its_cases_time_of_last_use(folder):
    with in_use(folder, ["a", "gone"]):
        os.utime(folder / "a", (0, 0))
    assert (folder / "a").stat().st_mtime == pytest.approx(time.time(), abs=60)


def test_a_case_that_was_removed_can_be_touched(folder):
    touch(folder / "gone")
    assert not (folder / "gone").exists()


def test_the_lock_for_registering_is_held_and_released(folder):
    with registration_lock(folder) as lock:
        assert lock is not Lock.HELD_BY_OTHER
    with registration_lock(folder) as again:
        assert again is lock
