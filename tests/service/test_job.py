"""A job's files go as a whole, whatever is written beside them meanwhile."""

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from bedside.service.job import Job
from bedside.service.refusal import RefusedError


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "job").mkdir()
    return Job("1", SimpleNamespace(name="toy"), tmp_path / "job")


def test_files_that_are_being_written_are_removed_when_they_are_there(job):
    writing, written = threading.Event(), threading.Event()

    def write():
        with job.using_files():
            writing.set()
            written.wait(60)
            (job.folder / "shown.nii.gz").touch()

    writer, remover = threading.Thread(target=write), threading.Thread(target=job.remove)
    writer.start()
    writing.wait(60)
    remover.start()
    remover.join(0.05)
    assert job.folder.exists()
    written.set()
    for thread in (writer, remover):
        thread.join(60)
    assert not job.folder.exists()


def test_nothing_is_written_after_the_files_were_removed(job):
    job.remove()
    with pytest.raises(RefusedError, match="the scan is no longer here; post it again"), job.using_files():
        pytest.fail("the files are gone")
