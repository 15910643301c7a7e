"""One training at a time writes into a run directory."""

import errno
import os
import subprocess
import sys
from contextlib import ExitStack

import pytest
from bedside.runtime.errors import ResourceError
from bedside.training.runs.sole_writer import LOCK, sole_writer


def test_a_second_writer_is_refused_with_process_and_machine_of_the_first(tmp_path):
    run = tmp_path / "run"
    with sole_writer(run):
        (run / "config.toml").touch()
        here = rf'another process trains in "run" \(process {os.getpid()} on .+\); wait for it or stop it.* --resume'
        with pytest.raises(ResourceError, match=here) as refused, sole_writer(run):
            pass
    assert refused.value.exit_code == 5
    with sole_writer(run):
        pass


def test_a_refused_writer_takes_nothing_from_the_first(tmp_path):
    with sole_writer(tmp_path):
        for _ in range(2):  # the first refusal has not freed the lock for the second
            with pytest.raises(ResourceError), sole_writer(tmp_path):
                pass
        assert (tmp_path / LOCK).exists()


HOLDS = """
import signal, sys
from pathlib import Path
from bedside.training.runs.sole_writer import sole_writer
with sole_writer(Path(sys.argv[1])):
    print("held", flush=True)
    signal.pause()
"""

# Each holder makes a file that must not be there yet, and removes it before it leaves.
TAKES_TURNS = """
import os, sys
from pathlib import Path
from bedside.runtime.errors import ResourceError
from bedside.training.runs.sole_writer import sole_writer
alone = Path(sys.argv[1], "alone")
sys.stdin.read(1)
held = 0
while held < 25:
    try:
        with sole_writer(Path(sys.argv[1], "run")):
            alone.touch(exist_ok=False)
            alone.unlink()
            held += 1
    except ResourceError:
        continue
"""


def started(code, folder):
    return subprocess.Popen(
        [sys.executable, "-c", code, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_a_killed_writer_leaves_no_lock(tmp_path):
    with started(HOLDS, tmp_path) as other:
        other.stdout.readline()
        with pytest.raises(ResourceError, match=f"process {other.pid} on"), sole_writer(tmp_path):
            pass
        other.kill()
    with sole_writer(tmp_path):
        assert (tmp_path / LOCK).read_text().startswith(f"process {os.getpid()} on ")


def test_of_many_that_begin_at_the_same_moment_one_writes_at_a_time(tmp_path):
    writers = [started(TAKES_TURNS, tmp_path) for _ in range(4)]
    for writer in writers:
        writer.stdin.write("!")
        writer.stdin.flush()
    assert [(writer.communicate()[0], writer.returncode) for writer in writers] == [("", 0)] * 4


@pytest.mark.parametrize("written", [False, True])
def test_a_directory_that_the_training_leaves_empty_goes_with_the_lock(tmp_path, written):
    with sole_writer(tmp_path / "run"):
        if written:
            (tmp_path / "run" / "config.toml").touch()
    assert [path.name for path in tmp_path.rglob("*")] == (["run", "config.toml"] if written else [])


def test_a_directory_that_was_there_stays(tmp_path):
    with sole_writer(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_is_told_and_training_goes_on(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with ExitStack() as both:
        both.enter_context(sole_writer(tmp_path / "run"))
        both.enter_context(sole_writer(tmp_path / "run"))
    assert 'the file system of "run" has no locks: see to it that no other process trains in it' in caplog.text


@pytest.mark.parametrize("place", ["file", "file/run", "/proc/run"])
def test_a_path_that_cannot_be_a_folder_is_a_resource_error(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError), sole_writer(tmp_path / place):
        pass


def test_a_directory_that_cannot_be_written_is_a_resource_error(tmp_path):
    (tmp_path / LOCK).mkdir()  # a read-only folder would not stop root, who may run the tests
    with pytest.raises(ResourceError, match=r"cannot be written \(Is a directory\)"), sole_writer(tmp_path):
        pass
