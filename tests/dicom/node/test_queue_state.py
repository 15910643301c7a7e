"""What `bedside node --check` finds in a queue: unfinished work, and what killed processes left behind."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict

import pytest
from bedside.cli.main import run
from bedside.dicom.node.accepted import InstanceName
from bedside.dicom.node.queue import Queue
from bedside.dicom.node.queue_state import QueueState

from . import parties


def test_a_queue_that_is_not_there_has_nothing(tmp_path):
    assert QueueState.of(tmp_path / "none") == QueueState()
    assert QueueState().lines == ["nothing waits in the queue"]
    assert QueueState(node_runs=True).lines == ["a node runs with this queue", "nothing waits in the queue"]


def test_what_waits_is_counted_in_words():
    assert QueueState(unfinished=2, cut_off=1).lines == [
        "unfinished series, with which the node goes on: 2",
        "instances cut off when their storescp was killed, which the next run removes: 1",
    ]


def test_a_series_is_counted_until_it_is_finished_and_a_node_that_runs_is_seen(tmp_path):
    with Queue.open(tmp_path / "queue", quiet_seconds=1.0) as queue:
        queue.put(InstanceName("p", "1", "2", "3"), b"an instance")
        assert QueueState.of(tmp_path / "queue") == QueueState(node_runs=True, unfinished=1)
    assert QueueState.of(tmp_path / "queue") == QueueState(unfinished=1)


def test_the_files_of_a_killed_storescp_are_told_from_the_one_that_was_cut_off(tmp_path):
    whole, cut, *_ = parties.series(tmp_path / "ct", 3)
    files = tmp_path / "queue" / "incoming" / "a1" / "files"
    files.mkdir(parents=True)
    shutil.copy(whole, files / "b")
    content = cut.read_bytes()
    (files / "a").write_bytes(content[: len(content) - 10])
    for seconds, name in enumerate("ba"):
        os.utime(files / name, (seconds, seconds))
    before = sorted((file.name, file.read_bytes()) for file in files.iterdir())
    assert QueueState.of(tmp_path / "queue") == QueueState(received=1, cut_off=1)
    assert sorted((file.name, file.read_bytes()) for file in files.iterdir()) == before


@pytest.mark.skipif(shutil.which("storescp") is None, reason="DCMTK is not installed")
def test_check_finds_what_a_killed_node_and_its_storescp_left(bundle, tmp_path, peer, capfd):
    port = parties.free_port()
    more = "[limits]\nmax_instance_mib = 1"  # at which the system ends a storescp that writes more
    config = parties.node_toml(tmp_path, bundle, port, peer.port, storescp="dcmtk", more=more)
    (file, *_) = parties.large_series(tmp_path / "ct", 3)
    process = parties.start_node(config, tmp_path / "log")
    parties.wait_until_listening(port, process)
    with parties.sending(port) as association, parties.half_an_instance(association, file) as send_rest:
        process.kill()
        process.wait()
        assert checked(config, capfd) == asdict(QueueState(receiving=1))
        send_rest()
        assert parties.wait_until(lambda: not parties.storescp_processes(tmp_path / "queue"))
    assert checked(config, capfd) == asdict(QueueState(cut_off=1))
    assert run(["node", "--config", str(config), "--check"]) == 0
    assert "instances cut off when their storescp was killed, which the next run removes: 1" in capfd.readouterr().out


def checked(config, capfd):
    assert run(["node", "--config", str(config), "--check", "--json"]) == 0
    return json.loads(capfd.readouterr().out)["queue"]
