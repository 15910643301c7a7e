"""One process at a time works in a folder."""

import errno
import os
from contextlib import ExitStack

import pytest
from bedside.runtime.errors import ResourceError
from bedside.runtime.files.sole_process import sole_process


def in_folder(folder):
    return sole_process(folder, "work.lock", "writes label maps", "wait for it")


def test_a_second_process_is_refused_with_the_first_ones_work_and_the_advice(tmp_path):
    expected = rf'another process writes label maps in "out" \(process {os.getpid()} on .+\); wait for it'
    with in_folder(tmp_path / "out"):
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["work.lock"]
        with pytest.raises(ResourceError, match=expected), in_folder(tmp_path / "out"):
            pass
    with in_folder(tmp_path / "out"):
        pass


@pytest.mark.parametrize("written", [False, True])
def test_a_folder_that_was_made_for_nothing_is_removed(tmp_path, written):
    with in_folder(tmp_path / "out"):
        if written:
            (tmp_path / "out" / "labels.nii.gz").touch()
    assert (tmp_path / "out").exists() is written


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with ExitStack() as both:
        both.enter_context(in_folder(tmp_path / "out"))
        both.enter_context(in_folder(tmp_path / "out"))
    assert 'the file system of "out" has no locks: see to it that no other process writes label maps in' in caplog.text
