"""One process at a time holds a lock file; nobody takes a file for the lock that its holder has removed."""

import errno
import os
import signal
import subprocess
import sys

import pytest
from bedside.runtime.errors import ResourceError
from bedside.runtime.files import lock as locks
from bedside.runtime.files import lock_file as module
from bedside.runtime.files.lock import Lock
from bedside.runtime.files.lock_file import LockFile, lock_file


def test_a_second_holder_is_told_process_and_machine_of_the_first(tmp_path):
    with lock_file(tmp_path / "lock") as first:
        assert first == LockFile(Lock.ACQUIRED)
        for _ in range(2):  # a refusal has not freed the lock for the next
            with lock_file(tmp_path / "lock") as second:
                assert second.lock is Lock.HELD_BY_OTHER
                assert second.holder == f"process {os.getpid()} on {os.uname().nodename}"
        assert (tmp_path / "lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_block_that_fails_frees_the_lock_and_removes_the_file(tmp_path):
    with pytest.raises(KeyError), lock_file(tmp_path / "lock"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_its_holder_has_just_removed_is_not_taken_for_the_lock(tmp_path, monkeypatch):
    removed = []

    def acquire_lock(descriptor, *, wait):
        if not removed:  # the holder ends between opening and locking
            removed.append((tmp_path / "lock").unlink())
        return locks.acquire_lock(descriptor, wait=wait)

    monkeypatch.setattr(module, "acquire_lock", acquire_lock)
    with lock_file(tmp_path / "lock") as first, lock_file(tmp_path / "lock") as second:
        assert (first.lock, second.lock) == (Lock.ACQUIRED, Lock.HELD_BY_OTHER)


HOLDS = """
import signal, sys
from pathlib import Path
from bedside.runtime.files.lock_file import lock_file
with lock_file(Path(sys.argv[1])):
    print("held", flush=True)
    signal.pause()
"""


def test_the_file_of_a_killed_process_is_taken_over(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLDS, tmp_path / "lock"], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        other.send_signal(signal.SIGKILL)
    assert (tmp_path / "lock").exists()
    with lock_file(tmp_path / "lock") as ours:
        assert ours.lock is Lock.ACQUIRED
        assert (tmp_path / "lock").read_text().startswith(f"process {os.getpid()} on ")


def test_without_locks_everybody_may_and_no_file_stays(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with lock_file(tmp_path / "lock") as first, lock_file(tmp_path / "lock") as second:
        assert first == second == LockFile(Lock.UNSUPPORTED)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_a_resource_error(tmp_path):
    (tmp_path / "lock").mkdir()  # a read-only folder would not stop root, who may run the tests
    with pytest.raises(ResourceError, match=r"cannot be written \(Is a directory\)"), lock_file(tmp_path / "lock"):
        pass
