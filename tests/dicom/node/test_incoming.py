"""What storescp left of an association enters the queue, except a file that it did not complete."""

import os

import pydicom
from bedside.dicom.node.incoming import Incoming
from bedside.dicom.node.queue import Queue

from . import parties


def test_a_file_that_storescp_did_not_complete_is_left_out(tmp_path, caplog):
    files = parties.series(tmp_path / "ct", 3)
    (folder := tmp_path / "association" / "files").mkdir(parents=True)
    (folder / "1").write_bytes(files[0].read_bytes())
    (folder / "2").write_bytes(files[1].read_bytes()[:-20])
    os.utime(folder / "1", (1, 1))
    with Queue.open(tmp_path / "queue", quiet_seconds=1) as queue:
        assert Incoming(folder.parent, queue, 60).take()
        assert [
            made.SOPInstanceUID for made in [pydicom.dcmread(file) for series in queue for file in series.files()]
        ] == [pydicom.dcmread(files[0]).SOPInstanceUID]
        assert [series.quiet_seconds for series in queue] == [60]
    assert "storescp ended before it was complete" in caplog.text
    assert not folder.exists()
