"""A peer that is called acknowledges, refuses, counts, or is not reached."""

from __future__ import annotations

import numpy as np
import pytest
from bedside.dicom import open_series, write_segmentation
from bedside.dicom.node.config import load_node_config
from bedside.dicom.node.peer import NotTakenError, PeerCaller, seconds_to_wait
from bedside.runtime.errors import ResourceError

from . import parties


@pytest.fixture
def result(tmp_path):
    files = parties.series(tmp_path / "ct", 3)
    scan = open_series(files)
    labels = np.ones(scan.grid.shape, np.uint8)
    write_segmentation(tmp_path / "seg.dcm", labels, ("background", "liver"), scan, bundle_sha256="ab")
    return tmp_path / "seg.dcm"


def calling(tmp_path, peer_port):
    config = load_node_config(parties.node_toml(tmp_path, "none.bedside", 0, peer_port))
    return PeerCaller(config), config.peer("pacs")


def test_a_result_arrives(tmp_path, peer, result):
    caller, pacs = calling(tmp_path, peer.port)
    caller.store(pacs, result)
    assert len(peer.results) == 1


def test_a_warning_counts_as_taken_and_a_failure_does_not(tmp_path, peer, result):
    caller, pacs = calling(tmp_path, peer.port)
    peer.status = 0xB000
    caller.store(pacs, result)
    peer.status = 0xA700
    with pytest.raises(NotTakenError, match='the peer "pacs" answered 0xA700'):
        caller.store(pacs, result)


def test_a_peer_that_does_not_know_the_kind_of_object(tmp_path, peer):
    (scan, *_) = parties.series(tmp_path / "ct", 3)
    caller, pacs = calling(tmp_path, peer.port)
    with pytest.raises(NotTakenError, match="does not accept this kind of object"):
        caller.store(pacs, scan)


def test_a_peer_that_is_away(tmp_path, result):
    caller, pacs = calling(tmp_path, parties.free_port())
    with pytest.raises(ResourceError, match='the peer "pacs" is not reached'):
        caller.store(pacs, result)


def test_counts_are_those_of_the_series(tmp_path, peer):
    caller, pacs = calling(tmp_path, peer.port)
    peer.counts = {"1.2.3": 120}
    assert caller.count(pacs, "1.2", "1.2.3") == 120
    assert caller.count(pacs, "1.2", "1.2.4") is None


def test_waits_double_up_to_the_longest():
    assert [seconds_to_wait(number, 300) for number in (1, 2, 3, 9, 10, 10_000)] == [1, 2, 4, 256, 300, 300]
