"""What storescp completed enters the queue, during the association and after it."""

import os
import time

import pydicom
import pytest
from bedside.dicom.node.incoming import Incoming
from bedside.dicom.node.queue import Queue
from bedside.runtime.errors import ResourceError

from . import parties


def instances(queue):
    return {pydicom.dcmread(file).SOPInstanceUID for series in queue for file in series.files()}


def test_a_file_that_is_still_written_waits_and_one_that_is_closed_is_taken(tmp_path, association):
    first, second, *_ = parties.series(tmp_path / "ct", 3)
    content = second.read_bytes()
    with Queue.open(tmp_path / "queue", quiet_seconds=1, open_seconds=60) as queue:
        incoming = Incoming(association, queue, 60)
        with (association / "files" / "2").open("wb") as written:
            written.write(content[:-20])
            written.flush()
            (association / "files" / "1").write_bytes(first.read_bytes())
            os.utime(association / "files" / "1")  # the clock of the system may go back
            assert not incoming.take()
            assert instances(queue) == {pydicom.dcmread(first).SOPInstanceUID}
            written.write(content[-20:])
        assert not incoming.take()
        assert instances(queue) == {pydicom.dcmread(file).SOPInstanceUID for file in (first, second)}
        assert queue.due(time.monotonic() + 2) == []  # the association is open


def test_nothing_is_taken_while_it_is_not_known_what_storescp_has_open(tmp_path, association):
    (association / "lock").write_text("")  # the node was killed before it noted the process
    file, *_ = parties.series(tmp_path / "ct", 3)
    (association / "files" / "1").write_bytes(file.read_bytes())
    with Queue.open(tmp_path / "queue", quiet_seconds=1) as queue:
        with pytest.raises(ProcessLookupError):
            Incoming(association, queue, 60).take()
        assert instances(queue) == set()


def test_the_last_instance_of_a_released_association_is_taken_as_it_is(tmp_path):
    file, *_ = parties.series(tmp_path / "ct", 3)
    made = pydicom.dcmread(file)
    del made.Rows  # the checks of the series refuse it; without it, the series would look like a shorter one
    (folder := tmp_path / "association" / "files").mkdir(parents=True)
    made.save_as(folder / "1")
    (folder.parent / "storescp.log").write_text("Association Release\n")
    with Queue.open(tmp_path / "queue", quiet_seconds=1) as queue:
        assert Incoming(folder.parent, queue, 60).take()
        assert instances(queue) == {made.SOPInstanceUID}


def test_a_file_that_storescp_did_not_complete_is_left_out(tmp_path, caplog):
    files = parties.series(tmp_path / "ct", 3)
    (folder := tmp_path / "association" / "files").mkdir(parents=True)
    (folder / "1").write_bytes(files[0].read_bytes())
    (folder / "2").write_bytes(files[1].read_bytes()[:-20])
    os.utime(folder / "1", (1, 1))
    with Queue.open(tmp_path / "queue", quiet_seconds=1) as queue:
        assert Incoming(folder.parent, queue, 60).take()
        assert instances(queue) == {pydicom.dcmread(files[0]).SOPInstanceUID}
        assert [series.quiet_seconds for series in queue] == [60]
    assert "storescp ended before it was complete" in caplog.text
    assert not folder.exists()


@pytest.mark.parametrize("released", [True, False])
def test_an_instance_is_kept_until_there_is_memory_to_read_it(tmp_path, monkeypatch, released):
    files = parties.series(tmp_path / "ct", 3)
    (folder := tmp_path / "association" / "files").mkdir(parents=True)
    for number, file in enumerate(files):
        (folder / str(number)).write_bytes(file.read_bytes())
        os.utime(folder / str(number), (number, number))
    if released:
        (folder.parent / "storescp.log").write_text("Association Release\n")
    read, failing = pydicom.dcmread, [True, False, True]  # the first is `is_whole`'s where nothing was released

    def short(*arguments, **options):
        if failing and failing.pop(0):
            raise MemoryError
        return read(*arguments, **options)

    with Queue.open(tmp_path / "queue", quiet_seconds=1) as queue:
        incoming = Incoming(folder.parent, queue, 60)
        with monkeypatch.context() as patched:
            patched.setattr("pydicom.dcmread", short)
            while failing:
                with pytest.raises(ResourceError, match="memory ran out"):
                    incoming.take()
        assert incoming.take()
        assert instances(queue) == {pydicom.dcmread(file).SOPInstanceUID for file in files}
