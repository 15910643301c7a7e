"""A result is sent until it is acknowledged, once; a peer that is away does not hold up another."""

from __future__ import annotations

import logging
from threading import Event

import msgspec
import pytest
from bedside.dicom.node import sender as module
from bedside.dicom.node.accepted import InstanceName
from bedside.dicom.node.config import load_node_config
from bedside.dicom.node.outcome import Delivery, Outcome, State
from bedside.dicom.node.peer import NotReachedError, NotTakenError
from bedside.dicom.node.queue import Queue
from bedside.dicom.node.sections import Peer
from bedside.dicom.node.sender import Sender
from bedside.runtime.errors import ResourceError

from . import parties


class Caller:
    """Answers as a test tells it; keeps what it was given."""

    def __init__(self):
        self.taken, self.failing, self.silent = [], {}, {}

    def store(self, peer, file):
        if peer.name in self.silent:
            self.silent[peer.name].wait(30)
        for what in (peer.name, file.name):
            if what in self.failing:
                raise self.failing[what]
        self.taken.append((peer.name, file.name))


def deliver(sender, queue):
    """Lets every peer of a sender have its turn, as its threads do."""
    for name in dict.fromkeys(each.peer for _, each in queue.pending()):
        sender.deliver(Peer(name=name, ae_title="X", address="127.0.0.1", port=104))


def put(queue, uid, *files):
    """Puts a series with results for one peer into a queue."""
    key = queue.put(InstanceName("", "", uid, uid), b"x")
    series = next(each for each in queue if each.key == key)
    pending = tuple(Delivery(peer="pacs", file=file) for file in files)
    queue.record(series, Outcome(digest=series.digest, instances=1, state=State.DONE, pending=pending))


@pytest.fixture
def caller():
    return Caller()


@pytest.fixture
def now(monkeypatch):
    """A clock that the test sets."""
    times = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: times[0])
    return times


@pytest.fixture
def sent(tmp_path, caller):
    """A sender whose queue holds two series with a result each, for two peers."""
    config = load_node_config(parties.node_toml(tmp_path, "none.bedside", 0, 104))
    (pacs,) = config.peers
    peers = (pacs, msgspec.structs.replace(pacs, name="other"))
    with Queue.open(tmp_path / "queue", quiet_seconds=0) as queue:
        for uid in ("1", "2"):
            queue.put(InstanceName("", "", uid, uid), b"x")
        for series in queue:
            pending = tuple(Delivery(peer=peer.name, file="seg.dcm") for peer in peers)
            queue.record(series, Outcome(digest=series.digest, instances=1, state=State.DONE, pending=pending))
        yield Sender(peers, queue, caller), queue


@pytest.fixture
def two(tmp_path, caller):
    """A sender whose queue holds a series with two results for one peer."""
    config = load_node_config(parties.node_toml(tmp_path, "none.bedside", 0, 104))
    with Queue.open(tmp_path / "queue", quiet_seconds=0) as queue:
        put(queue, "1", "first.dcm", "second.dcm")
        yield Sender(config.peers, queue, caller), queue


def test_every_result_is_sent_once_to_every_peer(sent, caller):
    sender, queue = sent
    deliver(sender, queue)
    deliver(sender, queue)
    assert sorted(caller.taken) == [("other", "seg.dcm")] * 2 + [("pacs", "seg.dcm")] * 2
    assert queue.pending() == []
    assert all(series.is_finished for series in queue)


def test_a_peer_that_is_away_is_called_later_and_the_other_at_once(sent, caller, now, caplog):
    caplog.set_level(logging.WARNING, logger="bedside.node")
    sender, queue = sent
    caller.failing["pacs"] = ResourceError('the peer "pacs" is not reached')
    deliver(sender, queue)
    assert [peer for peer, _ in caller.taken] == ["other", "other"]
    assert len(caplog.messages) == 1  # one try for all its results
    caller.failing.clear()
    deliver(sender, queue)
    assert len(queue.pending()) == 2
    now[0] += 1.01
    deliver(sender, queue)
    assert queue.pending() == []


def test_a_result_that_is_not_taken_does_not_hold_up_the_next(sent, caller, now):
    sender, queue = sent
    caller.failing["pacs"] = NotTakenError("no")
    deliver(sender, queue)
    caller.failing.clear()
    now[0] += 0.5
    deliver(sender, queue)
    assert len(queue.pending()) == 2  # both wait their second
    now[0] += 0.6
    deliver(sender, queue)
    assert queue.pending() == []


def test_waits_grow_with_every_failure(sent, caller, now, caplog):
    caplog.set_level(logging.WARNING, logger="bedside.node")
    sender, queue = sent
    caller.failing = {"pacs": ResourceError("away"), "other": ResourceError("away")}
    for _ in range(3):
        deliver(sender, queue)
        now[0] += 400
    waits = [message.rpartition(" in ")[2] for message in caplog.messages if "away" in message]
    assert waits == ["1 s", "1 s", "2 s", "2 s", "4 s", "4 s"]


def test_a_peer_that_is_silent_does_not_hold_up_another(sent, caller):
    sender, queue = sent
    caller.silent["pacs"] = Event()
    sender.start()
    try:
        assert parties.wait_until(lambda: caller.taken == [("other", "seg.dcm")] * 2)
    finally:
        caller.silent["pacs"].set()
    assert parties.wait_until(lambda: not queue.pending())
    sender.stop()


@pytest.mark.parametrize("error", [ValueError("a fault"), FileNotFoundError(2, "No such file")])
def test_a_result_that_cannot_be_sent_holds_up_nothing_else_and_waits_longer_each_time(two, caller, now, caplog, error):
    caplog.set_level(logging.WARNING, logger="bedside.node")
    sender, queue = two
    caller.failing["first.dcm"] = error
    for _ in range(3):
        deliver(sender, queue)
        now[0] += 400
    assert caller.taken == [("pacs", "second.dcm")]
    assert [each.file for _, each in queue.pending()] == ["first.dcm"]
    waits = [f"a result cannot be sent ({type(error).__name__}); tried again in {wait} s" for wait in (1, 2, 4)]
    assert [message.partition(": ")[2] for message in caplog.messages] == waits


def test_a_result_that_breaks_every_association_does_not_hold_up_the_others_of_its_peer(two, caller, now):
    sender, queue = two
    caller.failing["first.dcm"] = ResourceError('the peer "pacs" did not answer')
    deliver(sender, queue)
    assert caller.taken == []  # the peer may be away
    now[0] += 1.01
    deliver(sender, queue)
    assert caller.taken == [("pacs", "second.dcm")]


def test_such_a_result_does_not_hold_up_one_that_is_made_later(two, caller, now):
    sender, queue = two
    caller.failing["first.dcm"] = ResourceError('the association with the peer "pacs" failed')
    for _ in range(20):  # longer than any wait
        deliver(sender, queue)
        now[0] += 400
    assert caller.taken == [("pacs", "second.dcm")]
    deliver(sender, queue)  # it fails once more
    put(queue, "2", "third.dcm")
    deliver(sender, queue)
    assert len(caller.taken) == 1
    now[0] += 1.01
    deliver(sender, queue)
    assert caller.taken[1:] == [("pacs", "third.dcm")]


def test_a_peer_that_is_not_reached_is_called_less_and_less_also_for_new_results(two, caller, now):
    sender, queue = two
    caller.failing["pacs"] = NotReachedError('the peer "pacs" is not reached')
    for _ in range(3):
        deliver(sender, queue)
        now[0] += 5
    deliver(sender, queue)  # the fourth failure: 8 s
    caller.failing.clear()
    put(queue, "2", "third.dcm")
    now[0] += 7.9
    deliver(sender, queue)
    assert caller.taken == []
    now[0] += 0.2
    deliver(sender, queue)
    assert len(caller.taken) == 3


def test_a_result_whose_arrival_the_disk_does_not_record_is_sent_again_later(two, caller, now, monkeypatch):
    def full(*_):
        raise ResourceError("the disk is full")

    sender, queue = two
    monkeypatch.setattr(queue, "delivered", full)
    deliver(sender, queue)
    deliver(sender, queue)
    assert caller.taken == [("pacs", "first.dcm"), ("pacs", "second.dcm")]


def test_the_thread_outlives_an_error_and_ends(sent, caller):
    sender, queue = sent
    caller.failing["pacs"] = ValueError("a fault")
    sender.start()
    assert parties.wait_until(lambda: len(queue.pending()) == 2)
    assert all(thread.is_alive() for thread in sender._threads)
    caller.failing.clear()
    assert parties.wait_until(lambda: not queue.pending(), 10)
    sender.stop()
    assert not any(thread.is_alive() for thread in sender._threads)
