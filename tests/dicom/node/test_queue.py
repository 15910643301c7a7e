"""The queue keeps what it acknowledged, knows what it has, and hides identifiers."""

from __future__ import annotations

import time
from contextlib import ExitStack

import msgspec
import pytest
from bedside.dicom.node.accepted import InstanceName
from bedside.dicom.node.outcome import Delivery, Outcome, State
from bedside.dicom.node.queue import Queue, QueueFullError
from bedside.runtime.errors import ResourceError

from ...descriptor_copies import copy_descriptors

TO_PACS = Delivery(peer="pacs", file="x-seg.dcm")


def opened(tmp_path, **options):
    return Queue.open(tmp_path / "queue", **{"quiet_seconds": 0.0, **options})


def name(instance=1, series="1.2.3", patient="CANARY4711"):
    return InstanceName(patient, "1.2", series, f"1.2.3.{instance}")


def done(series, *, pending=(TO_PACS,)):
    return Outcome(
        digest=series.digest, instances=len(series.instances), state=State.DONE, pending=pending,
        seconds=time.time(),
    )  # fmt: skip


def only(queue):
    (series,) = queue
    return series


def test_instances_of_a_series_lie_together_and_survive(tmp_path):
    with opened(tmp_path) as queue:
        assert queue.put(name(1), b"one") == queue.put(name(2), b"two")
    with opened(tmp_path) as queue:
        assert sorted(file.read_bytes() for file in only(queue).files()) == [b"one", b"two"]
        assert queue.size == 6
        assert [series.key for series in queue.due(time.monotonic())] == [only(queue).key]


def test_the_first_of_two_instances_with_one_uid_stays(tmp_path):
    with opened(tmp_path) as queue:
        queue.put(name(1), b"first")
        queue.put(name(1), b"again")
        assert [file.read_bytes() for file in only(queue).files()] == [b"first"]


def test_two_patients_with_one_series_uid_are_two_series(tmp_path):
    with opened(tmp_path) as queue:
        assert queue.put(name(1), b"a") != queue.put(name(2, patient="other"), b"b")


def test_no_identifier_is_in_a_name_and_another_queue_gives_other_names(tmp_path):
    with opened(tmp_path) as queue, Queue.open(tmp_path / "other", quiet_seconds=0) as other:
        assert queue.put(name(), b"x") != other.put(name(), b"x")
    names = " ".join(path.name for path in tmp_path.rglob("*"))
    assert "CANARY" not in names
    assert "1.2.3" not in names
    assert (tmp_path / "queue").stat().st_mode & 0o077 == 0


def test_a_queue_gives_the_same_uids_after_a_restart(tmp_path):
    with opened(tmp_path) as queue:
        first = queue.uid("a", "b")
        assert queue.uid("a", "c") != first
    with opened(tmp_path) as queue:
        assert queue.uid("a", "b") == first
        assert first.startswith("2.25.")
        assert len(first) <= 64


def test_one_node_holds_a_queue(tmp_path):
    with opened(tmp_path), pytest.raises(ResourceError, match="held by another node"), opened(tmp_path):
        pass


def test_a_child_that_was_forked_meanwhile_does_not_hold_the_queue(tmp_path):
    with ExitStack() as copies:
        with opened(tmp_path):
            copy_descriptors(tmp_path / "queue" / "lock", copies)
        with opened(tmp_path) as queue:
            assert list(queue) == []


def test_a_full_queue_and_a_full_disk_refuse(tmp_path):
    with opened(tmp_path, max_gib=10 / 2**30) as queue:
        queue.put(name(1), b"12345678")
        with pytest.raises(QueueFullError, match="the queue is full"):
            queue.put(name(2), b"123")
        queue.put(name(1), b"12345678")  # is there already
    with opened(tmp_path, min_free_gib=1e6) as queue, pytest.raises(QueueFullError, match="too little free space"):
        queue.put(name(2), b"123")


def test_a_series_is_due_once_it_is_quiet_and_not_after_its_outcome(tmp_path):
    with opened(tmp_path, quiet_seconds=5) as queue:
        queue.put(name(1), b"one", sender="first")
        series, now = only(queue), time.monotonic()
        assert queue.due(now) == []
        assert queue.due(now + 6) == [series]
        queue.ended("first", 60)
        assert queue.due(now + 30) == []
        assert queue.due(now + 61) == [series]
        queue.record(series, done(series))
        assert queue.due(now + 61) == []
        queue.put(name(1), b"one")  # a duplicate
        assert queue.due(now + 61) == []
        queue.put(name(2), b"two")
        assert queue.due(now + 61) == [series]


def test_a_series_waits_for_every_open_association_that_sent_some_of_it(tmp_path):
    """A sender may pause, and a cable that is pulled is noticed after a minute."""
    with opened(tmp_path, quiet_seconds=5, open_seconds=60) as queue:
        queue.put(name(1), b"one", sender="first")
        queue.put(name(2), b"two", sender="second")
        queue.put(name(1, series="4.5.6"), b"of another series", sender="third")
        series, now = next(iter(queue)), time.monotonic()
        queue.ended("third")
        queue.ended("second")
        assert series not in queue.due(now + 30)
        assert len(queue.due(now + 30)) == 1
        queue.ended("first")
        assert series in queue.due(now + 6)


def test_a_series_does_not_wait_for_ever_for_an_association_that_sends_others(tmp_path):
    with opened(tmp_path, quiet_seconds=5, open_seconds=60) as queue:
        queue.put(name(1), b"one", sender="first")
        now = time.monotonic()
        assert queue.due(now + 59) == []
        assert queue.due(now + 61) == [only(queue)]
        queue.ended("first", quiet_seconds=100)
        assert queue.due(now + 61) == []


def test_no_series_is_due_beyond_the_second_up_to_which_the_queue_holds_all_that_was_received(tmp_path):
    with opened(tmp_path, quiet_seconds=5) as queue:
        queue.put(name(1), b"one")
        series, now = only(queue), time.monotonic()
        queue.holds_all_until(now + 4)
        assert queue.due(now + 100) == []
        queue.holds_all_until(now + 6)
        assert queue.due(now + 100) == [series]


def test_a_started_series_is_due_after_a_restart_and_a_finished_one_is_not(tmp_path):
    with opened(tmp_path) as queue:
        queue.put(name(1), b"one")
        series = only(queue)
        queue.record(series, msgspec.structs.replace(done(series), state=State.STARTED, attempts=3, pending=()))
    with opened(tmp_path) as queue:
        series = only(queue)
        assert series.outcome is not None
        assert series.outcome.attempts == 3
        assert queue.due(time.monotonic()) == [series]
        queue.record(series, done(series))
    with opened(tmp_path) as queue:
        assert queue.due(time.monotonic()) == []
        assert queue.pending() == [(only(queue), TO_PACS)]


def test_a_refused_series_is_tried_again_when_it_is_sent_again(tmp_path):
    with opened(tmp_path) as queue:
        queue.put(name(1), b"one")
        refused = msgspec.structs.replace(done(only(queue)), state=State.REFUSED, pending=())
        queue.record(only(queue), refused)
    with opened(tmp_path) as queue:  # with another rule, say
        assert queue.due(time.monotonic()) == []
        queue.put(name(1), b"one")
        assert queue.due(time.monotonic()) == [only(queue)]
        assert only(queue).outcome is None
    with opened(tmp_path) as queue:
        assert queue.due(time.monotonic()) == [only(queue)]


def test_a_journal_entry_that_cannot_be_read_counts_as_not_there(tmp_path):
    with opened(tmp_path) as queue:
        queue.put(name(1), b"one")
        series = only(queue)
        queue.record(series, done(series))
        (series.result_folder / f"{series.digest}.json").write_bytes(b"{")
    with opened(tmp_path) as queue:
        assert queue.due(time.monotonic()) == [only(queue)]


def test_what_a_peer_acknowledged_is_not_pending_any_more(tmp_path):
    with opened(tmp_path) as queue:
        queue.put(name(1), b"one")
        series = only(queue)
        other = Delivery(peer="other", file=TO_PACS.file)
        queue.record(series, done(series, pending=(TO_PACS, other)))
        queue.delivered(series, TO_PACS)
    with opened(tmp_path) as queue:
        assert [each for _, each in queue.pending()] == [other]


def test_the_result_of_a_series_that_grew_is_not_sent_any_more(tmp_path):
    with opened(tmp_path) as queue:
        queue.put(name(1), b"one")
        series = only(queue)
        queue.record(series, done(series))
        queue.put(name(2), b"two")
        assert queue.pending() == []


def test_finished_series_are_removed_and_unfinished_ones_are_not(tmp_path):
    with opened(tmp_path) as queue:
        for uid in ("1", "2", "3"):
            queue.put(name(series=uid), b"x")
        finished, undelivered, _ = queue
        queue.record(finished, done(finished, pending=()))
        queue.record(undelivered, done(undelivered))
        assert queue.remove_finished(3600) == 0
        assert queue.remove_finished(0) == 1
        assert finished not in list(queue)
        assert len(list(queue)) == 2
        assert not finished.folder.exists()
        assert list((tmp_path / "queue").glob("removed-*")) == []


def test_an_instance_that_arrives_while_finished_series_are_removed_is_kept(tmp_path, monkeypatch):
    with opened(tmp_path) as queue:
        queue.put(name(1), b"one")
        queue.record(only(queue), done(only(queue), pending=()))
        moved_away = Queue._moved_away

        def put_before(self, series, *words):
            queue.put(name(2), b"two")
            return moved_away(self, series, *words)

        monkeypatch.setattr(Queue, "_moved_away", put_before)
        assert queue.remove_finished(0) == 0
        assert sorted(file.read_bytes() for file in only(queue).files()) == [b"one", b"two"]


def test_a_series_that_was_removed_comes_again_as_a_new_one_of_the_same_name(tmp_path):
    with opened(tmp_path) as queue:
        key = queue.put(name(1), b"one")
        queue.record(only(queue), done(only(queue), pending=()))
        queue.remove_finished(0)
        assert queue.put(name(1), b"one") == key
        assert queue.due(time.monotonic()) == [only(queue)]


def test_a_damaged_key_is_refused(tmp_path):
    with opened(tmp_path):
        pass
    (tmp_path / "queue" / "key").write_bytes(b"short")
    with pytest.raises(ResourceError, match="is damaged"), opened(tmp_path):
        pass
