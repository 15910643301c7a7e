"""A node that is told to end while DCMTK's storescp receives leaves no process, no half file, and loses nothing."""

from __future__ import annotations

import os
import shutil
import signal

import pydicom
import pytest
from bedside.dicom.node.queue_state import QueueState

from . import parties

pytestmark = pytest.mark.skipif(shutil.which("storescp") is None, reason="DCMTK is not installed")


@pytest.mark.parametrize(
    ("sent", "to_all", "code"),
    [
        ([signal.SIGTERM], False, 143),
        ([signal.SIGINT], True, 130),  # as a terminal does
        ([signal.SIGTERM, signal.SIGTERM], False, 143),
    ],
    ids=["SIGTERM", "SIGINT to all", "SIGTERM twice"],
)
def test_a_signal_within_an_instance_leaves_no_process_and_no_half_file(bundle, tmp_path, peer, sent, to_all, code):
    port, queue = parties.free_port(), tmp_path / "queue"
    config = parties.node_toml(tmp_path, bundle, port, peer.port, storescp="dcmtk", quiet_seconds=60.0)
    files = parties.large_series(tmp_path / "ct", 3)
    process = parties.start_node(config, tmp_path / "log")
    parties.wait_until_listening(port, process)
    with parties.sending(port) as association:
        assert association.send_c_store(pydicom.dcmread(files[0])).Status == 0
        with parties.half_an_instance(association, files[1]):
            assert parties.storescp_processes(queue)
            for each in sent:
                (os.killpg if to_all else os.kill)(process.pid, each)
            assert process.wait(30) == code
            assert parties.storescp_processes(queue) == []
    assert [path for path in (queue / "incoming").iterdir() if path.is_dir()] == []
    (kept,) = queue.rglob("*.dcm")
    assert pydicom.dcmread(kept).SOPInstanceUID == pydicom.dcmread(files[0]).SOPInstanceUID
    assert len(pydicom.dcmread(kept).PixelData) == len(pydicom.dcmread(files[0]).PixelData)
    assert QueueState.of(queue) == QueueState(unfinished=1)


def test_a_half_file_on_the_disk_is_removed_at_a_signal(bundle, tmp_path, peer):
    port, queue = parties.free_port(), tmp_path / "queue"
    more = "[limits]\nmax_instance_mib = 1"  # at which the system ends a storescp that writes more
    config = parties.node_toml(tmp_path, bundle, port, peer.port, storescp="dcmtk", more=more)
    (file, *_) = parties.large_series(tmp_path / "ct", 3)
    process = parties.start_node(config, tmp_path / "log")
    parties.wait_until_listening(port, process)
    with parties.sending(port) as association, parties.half_an_instance(association, file) as send_rest:
        process.send_signal(signal.SIGSTOP)  # so that it does not take the file at once
        send_rest()
        assert parties.wait_until(lambda: parties.received_files(queue) == [2**20])
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        assert process.wait(30) == 143
    assert parties.storescp_processes(queue) == []
    assert [path for path in (queue / "incoming").iterdir() if path.is_dir()] == []
    assert list(queue.rglob("*.dcm")) == []
