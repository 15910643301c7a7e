"""What is acknowledged is on the disk; what cannot be taken is refused with its status, and others are served."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import threading
import time
import tracemalloc
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pydicom
import pytest
from bedside.dicom.node.config import load_node_config
from bedside.dicom.node.queue import Queue
from bedside.dicom.node.receiver import Receiver
from bedside.runtime.errors import ResourceError
from pydicom.uid import RLELossless

from . import parties


@contextmanager
def receiving(tmp_path, more="", **node):
    """A receiver with its queue, and no worker."""
    config = load_node_config(parties.node_toml(tmp_path, "none.bedside", 0, 104, more=more, **node))
    limits = config.limits
    options = {"max_gib": limits.max_queue_gib, "min_free_gib": limits.min_free_gib}
    options |= {"quiet_seconds": 1.0, "open_seconds": 60.0}
    with Queue.open(Path(config.node.queue), **options) as queue, Receiver(config, queue).listening() as port:
        yield queue, port


def stored(queue):
    return [pydicom.dcmread(file) for series in queue for file in series.files()]


def test_what_is_acknowledged_is_on_the_disk_as_it_was_sent(tmp_path):
    files = parties.series(tmp_path / "ct", 3)
    with receiving(tmp_path) as (queue, port):
        assert parties.send(port, files) == [0] * len(files)
        assert len(list(queue)) == 1
        sent = {made.SOPInstanceUID: made for made in map(pydicom.dcmread, files)}
        for made in stored(queue):
            assert made == sent[made.SOPInstanceUID]


@pytest.mark.skipif(shutil.which("storescu") is None, reason="DCMTK is not installed")
def test_receiving_takes_little_more_memory_than_twice_the_instance(tmp_path):
    (file, *_) = parties.series(tmp_path / "ct", 3)
    made = pydicom.dcmread(file)
    made.PixelData, made.Rows, made.Columns = bytes(32 * 2**20), 4096, 4096
    made.save_as(file)
    with receiving(tmp_path) as (queue, port):
        tracemalloc.start()
        try:
            words = ["storescu", "-aec", "BEDSIDE", "127.0.0.1", str(port), str(file)]  # a process of its own
            assert subprocess.run(words, timeout=60).returncode == 0
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(stored(queue)) == 1
    assert peak / file.stat().st_size < 2.2


def test_compressed_instances_stay_compressed(tmp_path):
    files = parties.series(tmp_path / "ct", 3)
    for file in files:
        made = pydicom.dcmread(file)
        made.compress(RLELossless)
        made.save_as(file)
    with receiving(tmp_path) as (queue, port):
        assert parties.send(port, files, syntaxes=(RLELossless,)) == [0] * len(files)
        assert {made.file_meta.TransferSyntaxUID for made in stored(queue)} == {RLELossless}


def test_series_sent_among_each_other_are_kept_apart(tmp_path):
    first, second = parties.series(tmp_path / "a", 1), parties.series(tmp_path / "b", 2)
    with receiving(tmp_path) as (queue, port):
        parties.send(port, [file for pair in zip(first, second, strict=True) for file in pair])
        for series in queue:
            assert len({pydicom.dcmread(file).SeriesInstanceUID for file in series.files()}) == 1
        assert len(list(queue)) == 2


@pytest.mark.parametrize("blank", ["SeriesInstanceUID", "SOPInstanceUID of the data set"])
def test_an_instance_without_its_uids_is_refused(tmp_path, blank):
    (file, *_) = parties.series(tmp_path / "ct", 3)
    made = pydicom.dcmread(file)
    with receiving(tmp_path) as (queue, port), parties.sending(port) as association:
        if blank == "SeriesInstanceUID":
            made.SeriesInstanceUID = ""
            status = association.send_c_store(made).Status
        else:
            status = _sent_as(association, made, "1.2.3.999").Status
        assert status == 0xA900
        assert stored(queue) == []


def _sent_as(association, made, uid):
    """Sends a data set under another UID than its own."""
    whole = association.dimse.send_msg

    def renamed(primitive, context):
        primitive.AffectedSOPInstanceUID = uid
        return whole(primitive, context)

    association.dimse.send_msg = renamed
    return association.send_c_store(made)


@pytest.mark.parametrize("limit", ["max_queue_gib = 0.001", "min_free_gib = 1000000"])
def test_a_full_queue_answers_out_of_resources_and_keeps_what_it_has(tmp_path, limit):
    files = parties.series(tmp_path / "ct", 3)
    if "max_queue" in limit:
        for file in files:
            made = pydicom.dcmread(file)
            made.PixelData = bytes(500_000)
            made.Rows = made.Columns = 500
            made.save_as(file)
    with receiving(tmp_path, f"[limits]\n{limit}") as (queue, port):
        statuses = parties.send(port, files)
        assert set(statuses[2:]) == {0xA700}
        assert statuses.count(0) == len(stored(queue))
        with parties.sending(port) as association:
            assert association.send_c_echo().Status == 0


def test_other_titles_are_rejected(tmp_path):
    (file, *_) = parties.series(tmp_path / "ct", 3)
    with receiving(tmp_path, '[access]\nae_titles = ["CT1"]') as (_, port):
        assert parties.send(port, [file], title="CT2") == [None]
        assert parties.send(port, [file], title="CT1", called="OTHER") == [None]
        assert parties.send(port, [file], title="CT1") == [0]


def test_other_addresses_are_not_connected(tmp_path):
    (file, *_) = parties.series(tmp_path / "ct", 3)
    with receiving(tmp_path, '[access]\naddresses = ["10.0.0.0/8"]') as (queue, port):
        assert parties.send(port, [file]) == [None]
        assert stored(queue) == []


def test_too_many_connections_of_an_address_are_refused(tmp_path):
    with receiving(tmp_path, "[limits]\nconnections_per_minute = 3") as (_, port):
        established = []
        for _ in range(5):
            with parties.sending(port) as association:
                established.append(association.is_established)
        assert established == [True, True, True, False, False]


def test_too_many_associations_at_a_time_are_rejected(tmp_path):
    with (
        receiving(tmp_path, "[limits]\nmax_associations = 1") as (_, port),
        parties.sending(port) as first,
        parties.sending(port) as second,
    ):
        assert first.is_established
        assert not second.is_established


def test_connections_that_ask_for_no_association_are_none(tmp_path, monkeypatch):
    """They need no title, and hold on for `timeout_seconds`."""
    monkeypatch.setattr(threading, "excepthook", (failures := []).append)
    with ExitStack() as held, receiving(tmp_path, "[limits]\nmax_associations = 1") as (_, port):
        idle = [held.enter_context(socket.create_connection(("127.0.0.1", port), 10)) for _ in range(2)]
        idle[0].sendall(b"\1")
        with parties.sending(port) as asking:
            assert asking.is_established
    assert failures == []  # at the end, pynetdicom cannot abort what is no association


def test_an_instance_above_the_limit_breaks_its_association_and_others_are_served(tmp_path):
    (file, other, *_) = parties.series(tmp_path / "ct", 3)
    made = pydicom.dcmread(file)
    made.PixelData = bytes(4_000_000)
    made.save_as(file)
    with receiving(tmp_path, "[limits]\nmax_instance_mib = 1") as (queue, port):
        assert parties.send(port, [file]) == [None]
        assert parties.send(port, [other]) == [0]
        assert len(stored(queue)) == 1


def test_a_lying_length_and_a_slow_peer_are_cut_off(tmp_path):
    with receiving(tmp_path, "[limits]\ntimeout_seconds = 1.0") as (_, port):
        for start in (struct.pack(">BBL", 1, 0, 2**32 - 1), struct.pack(">BBL", 1, 0, 200)):
            with socket.create_connection(("127.0.0.1", port), 10) as peer:
                peer.sendall(start)
                began = time.monotonic()
                with pytest.raises((ConnectionError, TimeoutError)):
                    _drip(peer)
                assert time.monotonic() - began < 4


def _drip(peer):
    for _ in range(50):
        peer.sendall(b"x")
        time.sleep(0.1)


def test_every_series_of_a_broken_association_waits_longer(tmp_path):
    files = [parties.series(tmp_path / str(number), number)[0] for number in (3, 4)]
    with receiving(tmp_path, quiet_after_abort_seconds=50.0) as (queue, port):
        with parties.sending(port) as association:
            for file in files:
                association.send_c_store(pydicom.dcmread(file))
            association.abort()
        assert parties.wait_until(lambda: [series.quiet_seconds for series in queue] == [50.0, 50.0], 10)
        parties.send(port, files)  # sent again, to the end
        assert [series.quiet_seconds for series in queue] == [1.0, 1.0]


def test_a_series_is_not_complete_while_its_association_is_open(tmp_path):
    files = parties.series(tmp_path / "ct", 3)
    with receiving(tmp_path) as (queue, port):
        with parties.sending(port) as association:
            association.send_c_store(pydicom.dcmread(files[0]))
            assert queue.due(time.monotonic() + 2) == []
        assert parties.wait_until(lambda: len(queue.due(time.monotonic() + 2)) == 1, 10)


def test_a_damaged_data_set_is_not_understood(tmp_path, caplog):
    (file, *_) = parties.series(tmp_path / "ct", 3)
    made = pydicom.dcmread(file)
    with receiving(tmp_path) as (queue, port), parties.sending(port) as association:
        whole = association.dimse.send_msg

        def damaged(primitive, context):
            content = primitive.DataSet.getvalue()
            primitive.DataSet.seek(0)
            primitive.DataSet.write(content[:10] + b"\xff" * 30 + content[40:])
            return whole(primitive, context)

        association.dimse.send_msg = damaged
        assert association.send_c_store(made).Status in (0xC000, 0xA900)
        assert stored(queue) == []


def test_a_port_that_is_taken_is_refused(tmp_path):
    with receiving(tmp_path) as (_, port):
        config = load_node_config(parties.node_toml(tmp_path, "none.bedside", port, 104))
        with (
            Queue.open(tmp_path / "other", quiet_seconds=1) as queue,
            pytest.raises(ResourceError, match=f"cannot listen on 127.0.0.1, port {port}"),
            Receiver(config, queue).listening(),
        ):
            pass
