"""DCMTK's storescp receives in place of pynetdicom, within the same limits."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
from bedside.dicom.node import dcmtk_receiver
from bedside.dicom.node.config import load_node_config
from bedside.dicom.node.dcmtk_receiver import DcmtkReceiver
from bedside.dicom.node.queue import Queue
from bedside.runtime.errors import InputError, ResourceError

from . import parties

pytestmark = pytest.mark.skipif(shutil.which("storescp") is None, reason="DCMTK is not installed")


@contextmanager
def receiving(tmp_path, more="", **node):
    """A receiver with its queue, and no worker."""
    config = load_node_config(parties.node_toml(tmp_path, "none.bedside", 0, 104, more=more, storescp="dcmtk", **node))
    options = {"quiet_seconds": 1.0, "max_gib": config.limits.max_queue_gib, "min_free_gib": config.limits.min_free_gib}
    with Queue.open(Path(config.node.queue), **options) as queue, DcmtkReceiver(config, queue).listening() as port:
        yield queue, port


def storescu(port, files, *options):
    words = ["storescu", *options, "-aec", "BEDSIDE", "127.0.0.1", str(port), *map(str, files)]
    return subprocess.run(words, capture_output=True, text=True, timeout=30)


def stored(queue):
    return [pydicom.dcmread(file) for series in queue for file in series.files()]


def large(file):
    made = pydicom.dcmread(file)
    made.PixelData, made.Rows, made.Columns = bytes(4_000_000), 1000, 2000
    made.save_as(file)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_all_addresses_are_those_of_ipv4_too(tmp_path):
    with receiving(tmp_path, address="::") as (_, port):
        for address in ("::1", "127.0.0.1"):
            socket.create_connection((address, port), 10).close()


def test_a_series_comes_back_as_a_segmentation_of_itself(bundle, tmp_path, peer, caplog):
    port = parties.free_port()
    config = parties.node_toml(tmp_path, bundle, port, peer.port, storescp="dcmtk")
    files = parties.series(tmp_path / "ct", 9)
    with caplog.at_level(logging.DEBUG), parties.node_here(load_node_config(config)):
        assert storescu(port, files).returncode == 0
        (made,) = peer.wait_for(1)
        assert not [path for path in (tmp_path / "queue" / "incoming").iterdir() if path.is_dir()]
    assert made.ReferencedSeriesSequence[0].SeriesInstanceUID == "1.2.3.77.9"
    assert len(made.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == len(files)
    assert "ID9" not in caplog.text


def test_all_that_a_peer_sent_is_in_the_queue_while_its_association_is_open(tmp_path):
    files = parties.series(tmp_path / "ct", 9)
    with receiving(tmp_path) as (queue, port), parties.sending(port) as association:
        for file in files:
            assert association.send_c_store(pydicom.dcmread(file)).Status == 0
        assert parties.wait_until(lambda: len(stored(queue)) == len(files))


@pytest.mark.parametrize("syntax", [[], ["--propose-implicit"], ["--propose-little"]])
def test_what_is_received_is_what_was_sent(tmp_path, syntax):
    files = parties.series(tmp_path / "ct", 3)
    with receiving(tmp_path) as (queue, port):
        assert storescu(port, files, *syntax).returncode == 0
        assert parties.wait_until(lambda: len(stored(queue)) == len(files))
        sent = {made.SOPInstanceUID: made for made in map(pydicom.dcmread, files)}
        assert all(made == sent[made.SOPInstanceUID] for made in stored(queue))


def test_titles_addresses_and_numbers_are_checked_before_storescp_gets_the_connection(tmp_path):
    (file, *_) = parties.series(tmp_path / "ct", 3)
    more = '[access]\nae_titles = ["CT1"]\n[limits]\nmax_associations = 1'
    with receiving(tmp_path, more) as (_, port):
        assert parties.send(port, [file], title="CT2") == [None]
        assert parties.send(port, [file], title="CT1", called="OTHER") == [None]
        with parties.sending(port, title="CT1") as first, parties.sending(port, title="CT1") as second:
            assert first.is_established
            assert not second.is_established
    with receiving(tmp_path, '[access]\naddresses = ["10.0.0.0/8"]') as (queue, port):
        assert parties.send(port, [file]) == [None]
        assert stored(queue) == []
    with receiving(tmp_path, "[limits]\nconnections_per_minute = 1") as (_, port):
        assert [parties.send(port, [file]) for _ in range(2)] == [[0], [None]]


def test_what_is_no_request_for_an_association_reaches_no_storescp(tmp_path):
    with (
        receiving(tmp_path) as (queue, port),
        socket.create_connection(("127.0.0.1", port), 10) as peer,
    ):
        peer.sendall(b"GET / HTTP/1.1\r\n" * 10)
        peer.settimeout(10)
        assert is_closed(peer)
        assert not [path for path in queue.incoming.iterdir() if path.is_dir()]


def is_closed(peer):
    try:
        return peer.recv(1) == b""
    except ConnectionResetError:
        return True


def test_an_instance_above_the_limit_breaks_its_association_and_others_are_served(tmp_path):
    (file, other, *_) = parties.series(tmp_path / "ct", 3)
    large(file)
    with receiving(tmp_path, "[limits]\nmax_instance_mib = 1") as (queue, port):
        assert parties.send(port, [file]) != [0]
        assert parties.send(port, [other]) == [0]
        assert parties.wait_until(lambda: stored(queue))
        assert [made.SOPInstanceUID for made in stored(queue)] == [pydicom.dcmread(other).SOPInstanceUID]


def test_a_full_queue_takes_no_association_and_keeps_what_it_acknowledged(tmp_path):
    files = parties.series(tmp_path / "ct", 3)
    large(files[0])
    with receiving(tmp_path, "[limits]\nmax_queue_gib = 0.001") as (queue, port):
        assert parties.send(port, files[:1]) == [0]
        assert parties.wait_until(lambda: len(stored(queue)) == 1)
        assert parties.send(port, files[1:2]) == [None]


def test_a_full_queue_is_logged_once_each_time_it_becomes_full(tmp_path, caplog):
    caplog.set_level(logging.INFO, "bedside.node")
    with receiving(tmp_path) as (queue, port), parties.sending(port) as association:
        assert association.is_established
        (process,) = children("storescp")
        os.kill(process, signal.SIGSTOP)  # so that it does not end at once
        queue._max_bytes = -1
        time.sleep(0.5)
        queue._max_bytes = 1e18
        assert parties.wait_until(lambda: "space again" in caplog.text)
        os.kill(process, signal.SIGCONT)
        assert parties.wait_until(lambda: not children("storescp"))
    messages = [message for message in caplog.messages if "full" in message]
    assert messages == ["the queue or its disk is full: 1 associations are ended, no more start"]


def test_it_outlives_a_system_that_starts_no_thread_and_a_disk_that_is_gone(tmp_path, monkeypatch):
    def no_thread(*_, **__):
        raise RuntimeError("can't start new thread")

    def no_disk(*_):
        raise OSError("the disk is gone")

    (file, *_) = parties.series(tmp_path / "ct", 3)
    with receiving(tmp_path) as (queue, port):
        for module, name, failing in ((dcmtk_receiver, "Thread", no_thread), (shutil, "disk_usage", no_disk)):
            with monkeypatch.context() as patched:
                patched.setattr(module, name, failing)
                assert parties.send(port, [file]) == [None]
                time.sleep(0.3)  # the thread that takes instances looks at the disk too
        assert parties.send(port, [file]) == [0]
        assert parties.wait_until(lambda: stored(queue))


def test_every_series_of_an_aborted_association_waits_longer(tmp_path):
    first, second = parties.series(tmp_path / "a", 3), parties.series(tmp_path / "b", 4)
    with receiving(tmp_path, quiet_after_abort_seconds=50.0) as (queue, port):
        storescu(port, [first[0], second[0]], "--abort")
        assert parties.wait_until(lambda: [series.quiet_seconds for series in queue] == [50.0, 50.0], 10)
        assert storescu(port, [first[1], second[1]]).returncode == 0
        assert parties.wait_until(lambda: [series.quiet_seconds for series in queue] == [1.0, 1.0], 10)


def test_a_storescp_that_is_killed_ends_its_association_alone_and_loses_nothing(tmp_path, caplog):
    files = parties.series(tmp_path / "ct", 3)
    with receiving(tmp_path) as (queue, port), caplog.at_level(logging.WARNING, "bedside.node"):
        with parties.sending(port) as association:
            assert association.send_c_store(pydicom.dcmread(files[0])).Status == 0
            (process,) = children("storescp")
            os.kill(process, signal.SIGKILL)
            assert parties.wait_until(lambda: len(stored(queue)) == 1)
        assert parties.send(port, files[1:]) == [0] * len(files[1:])
        assert parties.wait_until(lambda: len(stored(queue)) == len(files))
    assert "a storescp ended with code -9" in caplog.text


def children(name):
    """Process ids of this process's children of a name."""
    found = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "pid=,comm="], capture_output=True, text=True)
    return [int(line.split()[0]) for line in found.stdout.splitlines() if line.split()[1] == name]


def test_what_a_killed_node_left_behind_is_taken_by_the_next(bundle, tmp_path, peer):
    port = parties.free_port()
    config = parties.node_toml(tmp_path, bundle, port, peer.port, storescp="dcmtk")
    files = parties.series(tmp_path / "ct", 9)
    process = parties.start_node(config, tmp_path / "log")
    parties.wait_until_listening(port, process)
    with parties.sending(port) as association:
        statuses = [association.send_c_store(pydicom.dcmread(file)).get("Status") for file in files[:2]]
        process.kill()
        process.wait()
        statuses += [association.send_c_store(pydicom.dcmread(file)).get("Status") for file in files[2:]]
    assert statuses == [0] * len(files)  # its storescp goes on to the end of the association
    with parties.node_here(load_node_config(config)):
        (made,) = peer.wait_for(1)
    assert len(made.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == len(files)


def test_what_it_cannot_do_is_refused_at_the_start(tmp_path, monkeypatch):
    tls = '[tls]\ncertificate = "c"\nkey = "k"\nauthority = "a"'
    with pytest.raises(InputError, match=r'storescp: "dcmtk" cannot be used with \[tls\]'), receiving(tmp_path, tls):
        pass
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ResourceError, match="needs the program storescp"), receiving(tmp_path):
        pass
